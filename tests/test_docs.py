"""The manual is true: its plugin runs, its tables name what exists."""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from pathlib import Path

import pytest

from wippy.app import App
from wippy.errors import Error
from wippy.plugin import HookSpecs, Plugins, scan
from wippy.scheduler.clock import VirtualClock

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(page: str) -> dict[str, str]:
    """Return the code blocks of a page that a comment gives a file name."""
    pattern = r"<!-- file: (\S+) -->\n```\w+\n(.*?)```"
    return dict(re.findall(pattern, (DOCS / page).read_text(), re.DOTALL))


@pytest.fixture
def greeter(tmp_path, monkeypatch):
    files = blocks("plugins.md")
    site = tmp_path / "site"
    for name, text in files.items():
        path = (tmp_path / "src" / Path(name).name) if name.startswith("app/") else site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    info = site / "wippy_plugin_greeter-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in points.items())
    )
    monkeypatch.syspath_prepend(str(site))
    yield tmp_path
    sys.modules.pop("wippy_plugin_greeter", None)


async def test_the_plugin_of_the_manual_works(greeter):
    async with App(greeter, clock=VirtualClock(), plugins=Plugins(scan())) as app:
        assert await app.call("app:greet", "Ann") == "Dear Ann!"
        assert app.clock.now() >= 2
    index = greeter / "src" / "_index.yaml"
    index.write_text(index.read_text().replace("Dear {name}!", "Dear all!"))
    with pytest.raises(Error, match=r"_index.yaml:5\)?: text needs a \{name\}"):
        async with App(greeter, plugins=Plugins(scan())):
            pass


def test_every_hook_is_in_the_manual_with_its_arguments():
    text = (DOCS / "plugins.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)\((.*?)\)`", text, re.MULTILINE))
    hooks = {
        name: ", ".join(list(inspect.signature(hook).parameters)[1:])
        for name, hook in vars(HookSpecs).items()
        if not name.startswith("_")
    }
    assert documented == hooks


def test_every_page_of_the_index_exists_and_links_lead_somewhere():
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+?)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
