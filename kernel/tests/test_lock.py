"""wippy.lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from wippy.errors import INVALID, Error
from wippy.registry.lock import LockedModule, read_lock


def test_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "wippy.lock"
    path.write_text("""\
directories:
  modules: .packages
  src: ./source
modules:
  - name: acme/http
    version: v1.2.0
    hash: 4ea8
    root: true
  - name: acme/sql
replacements:
  - from: acme/http
    to: ../local-http
options:
  unpack_modules: true
""")
    lock = read_lock(path)
    assert lock is not None
    assert lock.sources == [tmp_path / "source"]
    assert lock.modules_directory == tmp_path / ".packages"
    assert lock.modules == {
        "acme/http": LockedModule("acme/http", "v1.2.0", "4ea8", True),
        "acme/sql": LockedModule("acme/sql"),
    }
    assert lock.replacements == {"acme/http": tmp_path.parent / "local-http"}
    assert lock.warnings == ['wippy.lock:10:1: "replacements" belongs into .wippy.yaml, as workspace.replacements']


@pytest.mark.parametrize("text", ["", "directories:\nmodules:\n"])
def test_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wippy.lock"
    path.write_text(text)
    lock = read_lock(path)
    assert lock is not None
    assert (lock.sources, lock.modules_directory) == ([tmp_path / "src"], tmp_path / ".wippy")
    assert (lock.modules, lock.replacements, lock.warnings) == ({}, {}, [])


def test_several_sources_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "wippy.lock"
    assert read_lock(path) is None
    path.write_text("directories: {src: [a, b]}\n")
    lock = read_lock(path)
    assert lock is not None
    assert lock.sources == [tmp_path / "a", tmp_path / "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "wippy.lock: the file: expected `object`, got `array`"),
        ("modules:\n  - version: v1\n", "wippy.lock:1:1: modules[0]: object missing required field `name`"),
        ("\ndirectories: {src: 5}\n", "wippy.lock:2:1: directories.src: expected `str | array`, got `int`"),
        ("a: [\n", "wippy.lock:2:1: YAML does not parse: did not find expected node content"),
    ],
)
def test_what_is_no_lock(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wippy.lock"
    path.write_text(text)
    with pytest.raises(Error) as caught:
        read_lock(path)
    assert (caught.value.message, caught.value.kind) == (message, INVALID)


def test_a_lock_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "wippy.lock").mkdir()
    with pytest.raises(Error, match=r"wippy.lock: cannot read the file: Is a directory"):
        read_lock(tmp_path / "wippy.lock")
