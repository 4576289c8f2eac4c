"""Keeps what is written twice in step with the workspace's members: run it after adding a plugin or a dependency.

    uv run python scripts/workspace.py

It writes the root's dependencies and sources (pyproject.toml), the pins (constraints.txt and [tool.uv]), the README's
table of plugins, and the kernel's catalogue of which distribution provides what. tests/test_workspace.py fails when any
of these is out of step.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "kernel" / "wippy" / "catalogue.json"
README = ROOT / "README.md"
CONSTRAINTS = ROOT / "constraints.txt"
PYPROJECT = ROOT / "pyproject.toml"

#: Plugins that need a server or a heavy library are extras of the root, by area name; everything else is included.
EXTRAS: dict[str, list[str]] = {}


def members() -> dict[str, dict]:
    """Return the project table of every plugin by distribution name."""
    found = {}
    for path in sorted(ROOT.glob("plugins/*/*/pyproject.toml")):
        project = tomllib.loads(path.read_text())["project"]
        found[project["name"]] = project
    return found


def catalogue() -> dict[str, dict[str, str]]:
    """Return, for every group of entry points, the distribution that provides each name."""
    groups: dict[str, dict[str, str]] = {}
    for name, project in members().items():
        for group, points in project.get("entry-points", {}).items():
            if group != "wippy.hooks":
                groups.setdefault(group, {}).update(dict.fromkeys(points, name))
    return {group: dict(sorted(points.items())) for group, points in sorted(groups.items())}


def catalogue_text() -> str:
    return json.dumps(catalogue(), indent=1) + "\n"


def root_text(text: str, pins: list[str]) -> str:
    """Return pyproject.toml with its generated parts replaced."""
    extra = {name for names in EXTRAS.values() for name in names}
    names = sorted(members())
    included = ["wippy-kernel", *(n for n in names if n not in extra)]
    text = _between(text, "dependencies = [\n", "]\n", "".join(f'    "{n}",\n' for n in included))
    sources = "".join(f"{n} = {{ workspace = true }}\n" for n in ["wippy-kernel", *names])
    text = _between(text, "[tool.uv.sources]\n", "\n", sources)
    return _between(text, "constraint-dependencies = [\n", "]\n", "".join(f'    "{pin}",\n' for pin in pins))


def plugin_table() -> str:
    """Return the README's table of what each plugin gives."""
    words = {"wippy.kinds": "kind", "wippy.modules": "module", "wippy.globals": "global", "wippy.commands": "command"}
    lines = ["| distribution | gives |", "|---|---|"]
    for name, project in members().items():
        gives = [
            f"{word}{'s' if len(points) > 1 else ''} " + ", ".join(f"`{point}`" for point in points)
            for group, word in words.items()
            if (points := project.get("entry-points", {}).get(group))
        ]
        lines.append(f"| `{name}` | {'; '.join(gives)} |")
    return "\n".join(lines) + "\n"


def readme_text(text: str) -> str:
    """Return the README with its table of plugins."""
    return _between(text, "<!-- plugins: written by scripts/workspace.py -->\n", "<!-- /plugins -->", plugin_table())


def _between(text: str, start: str, end: str, content: str) -> str:
    head, found, tail = text.partition(start)
    if not found:
        raise SystemExit(f"pyproject.toml has no line {start.strip()!r}")
    _, _, rest = tail.partition(end) if end != "\n" else ("", "", re.sub(r"^(?:.+\n)*\n?", "\n", tail, count=1))
    return head + start + content + (end if end != "\n" else "") + rest


def pins() -> list[str]:
    """Return the versions that the workspace resolves to now."""
    command = "uv export -q --all-packages --all-groups --no-emit-workspace --no-hashes --no-annotate --no-header"
    output = subprocess.run(command.split(), cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [line.replace('"', "'") for line in output.splitlines() if line.strip()]


def main() -> None:
    CATALOGUE.write_text(catalogue_text())
    README.write_text(readme_text(README.read_text()))
    PYPROJECT.write_text(root_text(PYPROJECT.read_text(), []))
    resolved = pins()
    PYPROJECT.write_text(root_text(PYPROJECT.read_text(), resolved))
    CONSTRAINTS.write_text("".join(f"{pin}\n" for pin in resolved))


if __name__ == "__main__":
    main()
