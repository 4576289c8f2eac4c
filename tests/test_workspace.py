"""The house in order: the root knows every member, plugins look alike, the kernel names none, layers hold."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from wippy.plugin import scan

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(p.parent for p in ROOT.glob("plugins/*/*/pyproject.toml"))


def _script():
    spec = importlib.util.spec_from_file_location("workspace", ROOT / "scripts" / "workspace.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


workspace = _script()
REPAIR = "run: uv run python scripts/workspace.py"


def test_the_root_lists_every_member():
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = set(workspace.members())
    assert names <= set(root["tool"]["uv"]["sources"]), REPAIR
    extras = {n for group in root["project"].get("optional-dependencies", {}).values() for n in group}
    assert names | {"wippy-kernel"} == set(root["project"]["dependencies"]) | extras, REPAIR


def test_the_catalogue_is_what_the_plugins_provide():
    assert (ROOT / "kernel/wippy/catalogue.json").read_text() == workspace.catalogue_text(), REPAIR


def test_the_readme_tells_what_each_plugin_gives():
    text = (ROOT / "README.md").read_text()
    assert workspace.readme_text(text) == text, REPAIR


def test_constraints_are_the_pins_of_the_root():
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    assert (ROOT / "constraints.txt").read_text().splitlines() == pins, REPAIR
    assert not [pin for pin in pins if "://" in pin or "/" in pin]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_plugins_look_alike(plugin):
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    package = plugin / project["name"].replace("-", "_")
    assert (plugin / "README.md").read_text().startswith(f"# {project['name']}\n")
    assert (package / "__init__.py").exists()
    assert list((plugin / "tests").glob("test_*.py"))
    assert not (plugin / "tests" / "__init__.py").exists()
    assert project["entry-points"]
    assert project["dependencies"][0] == "wippy-kernel"


def test_discovery_gives_what_importlib_metadata_gives():
    ours = {(p.group, p.name, p.target) for p in scan()}
    theirs = {
        (p.group, p.name, p.value)
        for d in metadata.distributions()
        for p in d.entry_points
        if p.group.startswith("wippy.")
    }
    assert ours == theirs
    assert ours


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return {name.split(".")[0] for name in found}


def test_the_kernel_imports_no_plugin_and_names_no_kind_or_module():
    catalogue = json.loads((ROOT / "kernel/wippy/catalogue.json").read_text())
    kinds = {k for k in catalogue["wippy.kinds"] if k not in ("ns.dependency", "ns.requirement")}
    for path in (ROOT / "kernel/wippy").rglob("*.py"):
        assert not [m for m in _imports(path) if m.startswith("wippy_plugin")], path
        if path.name not in ("testing.py", "config_keys.py"):
            strings = {
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            assert not strings & kinds, path


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_imports_only_what_it_declares(plugin):
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    own = project["name"].replace("-", "_")
    declared = {d.split(">")[0].split("[")[0].split("=")[0].split("<")[0].strip() for d in project["dependencies"]}
    allowed = {own, *(d.replace("-", "_") for d in declared)}
    for path in (plugin / own).rglob("*.py"):
        foreign = {m for m in _imports(path) if m.startswith("wippy_plugin")} - allowed
        assert not foreign, f"{path}: {foreign}"


def test_importing_the_kernel_stays_cheap():
    """What an edge box pays at boot: none of these (engineering rules, 1)."""
    code = "import sys, wippy.app; print(' '.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {
        "anyio",
        "rich",
        "click",
        "importlib.metadata",
        "uvicorn",
        "sqlite3",
        "jsonschema",
        "http.client",
    }
    assert not [m for m in loaded if m.startswith("wippy_plugin")]


@pytest.mark.parametrize("point", scan(), ids=lambda p: f"{p.group}:{p.name}")
def test_every_entry_point_loads(point):
    assert point.load() is not None
