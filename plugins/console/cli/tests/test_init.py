"""`wippy init`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from wippy.errors import Error

README = Path(__file__).resolve().parents[4] / "README.md"


def lock(directory):
    return yaml.safe_load((directory / "wippy.lock").read_text())


def test_it_writes_the_lock_and_makes_the_directories(wippy, tmp_path):
    assert wippy("init").output == "wippy.lock created\n"
    assert lock(tmp_path) == {"directories": {"modules": ".wippy", "src": "./src"}}
    assert (tmp_path / "src").is_dir()
    assert list((tmp_path / "src").iterdir()) == []
    assert wippy("init").output == "wippy.lock is as it should be\n"


def test_it_changes_the_directories_and_keeps_the_rest(wippy, tmp_path):
    before = {"directories": {"src": "./lua"}, "modules": [{"name": "acme/jobs", "version": "1.0.0"}]}
    (tmp_path / "wippy.lock").write_text(yaml.safe_dump(before))
    assert wippy("init", "--modules-dir", "vendor").output == "wippy.lock updated\n"
    assert lock(tmp_path) == {**before, "directories": {"modules": "vendor", "src": "./lua"}}


def test_a_broken_lock_stays_as_it_is(wippy, tmp_path):
    (tmp_path / "wippy.lock").write_text("directories: [")
    result = wippy("init")
    assert isinstance(result.exception, Error)
    assert "wippy.lock:2:1: YAML does not parse" in result.exception.message
    assert (tmp_path / "wippy.lock").read_text() == "directories: ["


def test_the_new_application_is_that_of_the_readme(wippy, tmp_path):
    assert "cd hello && wippy run" in wippy("init", "hello").output
    text = README.read_text()
    index, code = re.findall(r"```(?:yaml|lua)\n(.*?)```", text, re.DOTALL)[:2]
    written = yaml.safe_load((tmp_path / "hello/src/_index.yaml").read_text())
    assert [e for e in written["entries"] if e["kind"] != "ns.definition"] == yaml.safe_load(index)["entries"]
    assert (tmp_path / "hello/src/hello.lua").read_text() == code
    assert wippy("registry", "list", "-l", "hello/wippy.lock", "--kind", "function.*").output.split()[-3:] == [
        "app:hello",
        "function.lua",
        "src/_index.yaml:21",
    ]


@pytest.mark.parametrize("there", ["hello", "hello/src/x.lua"])
def test_a_new_application_overwrites_nothing(wippy, tmp_path, there):
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    result = wippy("init", "hello")
    assert isinstance(result.exception, Error)
    assert path.read_text() == "mine"
    assert not (tmp_path / "hello" / "wippy.lock").exists()
