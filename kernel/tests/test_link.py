"""A whole application: its sources, packages, requirements and overrides."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wippy.config import Config
from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.plugin import EntryPoint, Plugins
from wippy.registry.entry import Entry
from wippy.registry.link import Loaded, load_application


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def load(directory: Path, *overrides: str, plugins: Plugins | None = None, **sections: Any) -> Loaded:
    config = Config(sections, directory)
    return load_application(directory, plugins=plugins or Plugins([]), config=config, overrides=overrides)


def by_id(loaded: Loaded) -> dict[str, Entry]:
    return {entry.id: entry for entry in loaded.entries}


def problems(directory: Path, *overrides: str, **sections: Any) -> list[str]:
    with pytest.raises(Error) as caught:
        load(directory, *overrides, **sections)
    assert caught.value.kind == INVALID
    assert caught.value.details == {"problems": caught.value.message.split("\n")}
    return caught.value.message.split("\n")


HELLO = "namespace: app\nentries:\n  - {name: hello, kind: function.lua, source: 'file://hello.lua'}\n"

APP = """\
namespace: app
entries:
  - name: dep.jobs
    kind: ns.dependency
    component: acme/jobs
    version: "^1.0.0"
    parameters:
      - {name: target_db, value: "app:db"}
"""

JOBS = """\
namespace: acme.jobs
entries:
  - name: target_db
    kind: ns.requirement
    targets:
      - {entry: lifecycle, path: .db}
      - {entry: "acme.jobs.migrations:schema", path: .meta.target_db}
  - name: host
    kind: ns.requirement
    default: app:processes
    targets: [{entry: lifecycle, path: .host.id}]
  - name: cors
    kind: ns.requirement
    default: ""
    targets: [{entry: lifecycle, path: .middleware +=}]
  - name: lifecycle
    kind: library.lua
    middleware: [first]
"""

MIGRATIONS = "namespace: acme.jobs.migrations\nentries: [{name: schema, kind: registry.entry}]\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    write(
        tmp_path,
        {
            "src/_index.yaml": APP,
            ".wippy/vendor/acme/jobs/wippy.yaml": "organization: acme\nmodule: jobs\nversion: 1.2.0\n",
            ".wippy/vendor/acme/jobs/src/_index.yaml": JOBS,
            ".wippy/vendor/acme/jobs/src/migrations/_index.yaml": MIGRATIONS,
        },
    )
    return tmp_path


def test_a_folder_is_an_application(tmp_path: Path) -> None:
    write(tmp_path, {"_index.yaml": HELLO, "hello.lua": "return 1", ".wippy/vendor/x/y/_index.yaml": HELLO})
    loaded = load(tmp_path)
    assert by_id(loaded)["app:hello"].data == {"source": "return 1"}
    assert (loaded.warnings, loaded.directories) == ([], [tmp_path])
    place = loaded.entries[0].place
    assert place is not None
    assert (place.file, place.sources) == ("_index.yaml", {"source": "hello.lua"})


def test_src_is_the_source_where_there_is_one(tmp_path: Path) -> None:
    write(tmp_path, {"src/_index.yaml": HELLO, "src/hello.lua": "", "other.yaml": "namespace: app\nentries: 1\n"})
    loaded = load(tmp_path)
    assert loaded.directories == [tmp_path / "src"]
    assert loaded.entries[0].where() == "app:hello (src/_index.yaml:3)"


def test_the_lock_names_the_sources(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "wippy.lock": "directories: {src: ., modules: packages}\n",
            "_index.yaml": HELLO,
            "hello.lua": "",
            "packages/vendor/x/y/_index.yaml": HELLO,
        },
    )
    assert [entry.id for entry in load(tmp_path).entries] == ["app:hello"]
    (tmp_path / "wippy.lock").write_text("directories: {src: ./gone}\n")
    with pytest.raises(Error, match=r"wippy\.lock: the source directory gone does not exist") as caught:
        load(tmp_path)
    assert caught.value.kind == NOT_FOUND
    with pytest.raises(Error, match=r"nowhere: there is no such directory"):
        load(tmp_path / "nowhere")


def test_requirements_are_written_to_their_targets(app: Path) -> None:
    loaded = load(app)
    entries = by_id(loaded)
    assert loaded.warnings == []
    assert entries["acme.jobs:lifecycle"].data == {
        "db": "app:db",
        "host": {"id": "app:processes"},
        "middleware": ["first", ""],
    }
    assert entries["acme.jobs.migrations:schema"].meta == {"target_db": "app:db"}
    assert entries["acme.jobs:lifecycle"].where() == (
        "acme.jobs:lifecycle (.wippy/vendor/acme/jobs/src/_index.yaml:16)"
    )
    assert loaded.directories == [app / "src", app / ".wippy/vendor/acme/jobs/src"]


def test_a_requirement_that_nobody_meets(app: Path) -> None:
    write(app, {"src/_index.yaml": APP.replace("target_db", "targetdb")})
    assert problems(app) == [
        'acme.jobs:target_db (.wippy/vendor/acme/jobs/src/_index.yaml:3): requirement "target_db" has no value and no '
        "default: add {name: target_db, value: ...} to the parameters of app:dep.jobs (src/_index.yaml:7)"
    ]


def test_parameters_that_match_nothing(app: Path) -> None:
    more = '      - {name: hst, value: x}\n      - {name: "acme.jobs:gone", value: y}\n      - {name: host}\n'
    write(app, {"src/_index.yaml": APP + more})
    assert load(app).warnings == [
        'app:dep.jobs (src/_index.yaml:7): parameter "hst" names no requirement of acme/jobs, did you mean "host"?',
        'app:dep.jobs (src/_index.yaml:7): parameter "acme.jobs:gone" names no requirement of acme/jobs',
        'app:dep.jobs (src/_index.yaml:7): parameter "host" has no value',
    ]


def test_an_empty_value_is_a_value(app: Path) -> None:
    write(app, {"src/_index.yaml": APP.replace("app:db", "")})
    assert by_id(load(app))["acme.jobs:lifecycle"].data["db"] == ""


def test_the_application_wins_over_packages_and_packages_may_not_disagree(app: Path) -> None:
    middle = """\
namespace: acme.middle
entries:
  - name: dep.jobs
    kind: ns.dependency
    component: acme/jobs
    parameters: [{name: target_db, value: "middle:db"}, {name: host, value: "middle:host"}]
"""
    dependency = "  - {name: dep.middle, kind: ns.dependency, component: acme/middle}\n"
    write(app, {".wippy/vendor/acme/middle/_index.yaml": middle, "src/_index.yaml": APP + dependency})
    data = by_id(load(app))["acme.jobs:lifecycle"].data
    assert (data["db"], data["host"]) == ("app:db", {"id": "middle:host"})
    twin = "  - {name: dep.z, kind: ns.dependency, component: acme/jobs, parameters: [{name: target_db, value: b}]}\n"
    write(app, {"src/_index.yaml": APP + twin})
    assert problems(app) == [
        "requirement \"acme.jobs:target_db\" gets 'app:db' from app:dep.jobs (src/_index.yaml:7) and 'b' from "
        "app:dep.z (src/_index.yaml:9): make them agree, or give it in the application's own dependency"
    ]


def test_a_value_passes_through_a_package_to_the_next(app: Path) -> None:
    middle = """\
namespace: acme.middle
entries:
  - name: db
    kind: ns.requirement
    targets: [{entry: dep.jobs, path: ".parameters[0].value"}]
  - name: dep.jobs
    kind: ns.dependency
    component: acme/jobs
    parameters: [{name: target_db}]
"""
    root = """\
namespace: app
entries:
  - {name: m, kind: ns.dependency, component: acme/middle, parameters: [{name: db, value: v}]}
"""
    write(app, {".wippy/vendor/acme/middle/_index.yaml": middle, "src/_index.yaml": root})
    loaded = load(app)
    assert by_id(loaded)["acme.jobs:lifecycle"].data["db"] == "v"
    assert loaded.warnings == []
    write(app, {"src/_index.yaml": root.replace("name: db", "name: dx")})
    assert problems(app) == [
        'acme.middle:db (.wippy/vendor/acme/middle/_index.yaml:3): requirement "db" has no value and no default: add '
        "{name: db, value: ...} to the parameters of app:m (src/_index.yaml:3)",
        'acme.jobs:target_db (.wippy/vendor/acme/jobs/src/_index.yaml:3): requirement "target_db" has no value and no '
        'default: add {name: "acme.jobs:target_db", value: ...} to the parameters of one of the application '
        "(acme.middle:dep.jobs (.wippy/vendor/acme/middle/_index.yaml:9) does not give it)",
    ]


def test_targets_that_do_not_fit(app: Path) -> None:
    text = """\
namespace: app
entries:
  - name: r
    kind: ns.requirement
    default: 1
    targets: [{entry: gone, path: .x}, {entry: off, path: .x}, {entry: e, path: .text.x}, {entry: e, path: ""}]
  - {name: alone, kind: ns.requirement, default: 1}
  - {name: needed, kind: ns.requirement, targets: [{entry: e, path: .y}]}
  - {name: off, kind: registry.entry}
  - {name: e, kind: registry.entry, text: t}
  - {name: bad, kind: ns.requirement, targets: 5}
"""
    write(app, {"src/_index.yaml": text})
    assert problems(app, disable={"entries": ["app:off"]}) == [
        "app:bad (src/_index.yaml:11): field `targets`: expected `array`, got `int`",
        'app:r (src/_index.yaml:6): target "app:e": field "text" is \'t\', which holds no fields',
        'app:r (src/_index.yaml:6): target "app:e": "" is not a field path: expected text like ".meta.router" or '
        '".middleware +="',
        'app:needed (src/_index.yaml:8): requirement "needed" has no value and no default: give it a default, or start '
        "with -o app:needed:default=...",
    ]
    good = "\n".join(line for line in text.splitlines() if "bad" not in line and "needed" not in line)
    write(app, {"src/_index.yaml": good.replace(', {entry: e, path: .text.x}, {entry: e, path: ""}', "")})
    assert load(app, disable={"entries": ["app:off"]}).warnings == [
        'app:r (src/_index.yaml:6): target "app:gone" does not exist',
        "app:alone (src/_index.yaml:7): the requirement has no targets, so its value goes nowhere",
    ]


def test_overrides_steer_linking_and_have_the_last_word(app: Path) -> None:
    loaded = load(
        app,
        "acme.jobs:host:default=mine",
        "acme.jobs:lifecycle:db=last",
        "acme.jobs:lifecycle:meta.x=5",
        override={"app:dep.jobs:parameters": [{"name": "target_db", "value": "over"}]},
    )
    entries = by_id(loaded)
    lifecycle = entries["acme.jobs:lifecycle"]
    assert (lifecycle.data["db"], lifecycle.data["host"], lifecycle.meta) == ("last", {"id": "mine"}, {"x": 5})
    assert entries["acme.jobs.migrations:schema"].meta == {"target_db": "over"}
    assert problems(app, "acme.jobs:hosts:x=1") == [
        '-o "acme.jobs:hosts:x=1": there is no such entry, did you mean "acme.jobs:host"?'
    ]


def test_what_is_disabled_is_neither_loaded_nor_followed(app: Path) -> None:
    assert load(app, disable={"entries": ["app:dep.*"]}).entries == []
    loaded = load(app, disable={"namespaces": ["acme.jobs.**"]})
    assert [entry.id for entry in loaded.entries] == ["app:dep.jobs"]
    loaded = load(app, disable={"namespaces": ["acme.jobs.migrations"]})
    assert "acme.jobs.migrations:schema" not in by_id(loaded)
    assert loaded.warnings == []


def test_ranges_of_all_dependents_must_hold(app: Path) -> None:
    second = '  - {name: dep.z, kind: ns.dependency, component: acme/jobs, version: ">=2.0.0"}\n'
    third = '  - {name: dep.q, kind: ns.dependency, component: acme/jobs, version: "?"}\n'
    write(app, {"src/_index.yaml": APP + second + third})
    assert problems(app) == [
        "app:dep.z (src/_index.yaml:9): wants acme/jobs >=2.0.0, but 1.2.0 is installed (app:dep.jobs wants ^1.0.0, "
        "app:dep.q wants ?)",
        'app:dep.q (src/_index.yaml:10): acme/jobs: "?" is not a version: expected text like "1.2.3"',
    ]


def test_replacements(app: Path) -> None:
    write(
        app,
        {
            "local/src/_index.yaml": JOBS.replace("first", "local"),
            "local/src/migrations/_index.yaml": MIGRATIONS,
            "local/src/tests/bad.yaml": "[",
            "local/wippy.yaml": "exclude: ['tests/**']\n",
        },
    )
    loaded = load(app, workspace={"replacements": {"acme/jobs": "local", "acme/unused": "gone"}})
    assert by_id(loaded)["acme.jobs:lifecycle"].data["middleware"] == ["local", ""]
    assert loaded.directories[1] == app / "local/src"
    (app / "wippy.lock").write_text("replacements: [{from: acme/jobs, to: ./local}]\n")
    loaded = load(app)
    assert by_id(loaded)["acme.jobs:lifecycle"].data["middleware"] == ["local", ""]
    assert loaded.warnings == ['wippy.lock:1:1: "replacements" belongs into .wippy.yaml, as workspace.replacements']
    loaded = load(app, workspace={"replacements": {"acme/jobs": None}})
    assert by_id(loaded)["acme.jobs:lifecycle"].data["middleware"] == ["first", ""]
    assert problems(app, workspace={"replacements": {"acme/jobs": "../gone"}}) == [
        "app:dep.jobs (src/_index.yaml:5): ../gone, which replaces acme/jobs, does not exist"
    ]
    with pytest.raises(Error, match="acme/jobs: expected a directory, got 5"):
        load(app, workspace={"replacements": {"acme/jobs": 5}})


def test_packages_that_are_not_there(app: Path) -> None:
    write(
        app,
        {
            "src/_index.yaml": """\
namespace: app
entries:
  - {name: a, kind: ns.dependency, component: acme/http}
  - {name: b, kind: ns.dependency, component: acme/packed}
  - {name: c, kind: ns.dependency, component: acme}
  - {name: d, kind: ns.dependency, component: 5}
  - {name: e, kind: ns.dependency}
  - {name: f, kind: function.lua, source: "file://gone.lua"}
""",
            ".wippy/vendor/acme/packed-v1.0.0.wapp": "",
        },
    )
    assert problems(app) == [
        'src/_index.yaml:8: entry "app:f", field "source": file://gone.lua: there is no file src/gone.lua',
        'no plugin provides package "acme/http" (app:a (src/_index.yaml:3)): pip install wippy-package-acme-http, or '
        "put its source into .wippy/vendor/acme/http or name it in workspace.replacements",
        'no plugin provides package "acme/packed" (app:b (src/_index.yaml:4)): pip install wippy-package-acme-packed; '
        "the pack in .wippy/vendor/acme must be unpacked into packed/ to be read",
        'app:c (src/_index.yaml:5): field `component`: expected organisation/module, got "acme"',
        "app:d (src/_index.yaml:6): field `component`: expected `str`, got `int`",
        "app:e (src/_index.yaml:7): object missing required field `component`",
    ]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    write(
        tmp_path / "site",
        {
            "acme_jobs_for_tests/__init__.py": "",
            "acme_jobs_for_tests/_index.yaml": JOBS.replace("first", "installed"),
            "acme_jobs_for_tests/migrations/_index.yaml": MIGRATIONS,
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield Plugins(
        [EntryPoint("wippy.packages", "acme/jobs", "acme_jobs_for_tests", "wippy-package-acme-jobs", "1.4.0")]
    )
    sys.modules.pop("acme_jobs_for_tests", None)


def test_installed_packages_come_before_vendored_ones(app: Path, installed: Plugins) -> None:
    loaded = load(app, plugins=installed)
    entry = by_id(loaded)["acme.jobs:lifecycle"]
    assert entry.data["middleware"] == ["installed", ""]
    assert entry.where() == "acme.jobs:lifecycle (acme/jobs/_index.yaml:16)"
    write(app, {"src/_index.yaml": APP.replace("^1.0.0", "<1.4")})
    with pytest.raises(Error, match=r"wants acme/jobs <1\.4, but 1\.4\.0 is installed"):
        load(app, plugins=installed)


def test_duplicates_across_directories(app: Path) -> None:
    clash = "---\nnamespace: acme.jobs\nentries: [{name: lifecycle, kind: k}]\n"
    write(app, {"src/b.yaml": clash, "src/c.yaml": clash})
    assert problems(app) == [
        'src/c.yaml:3: entry "acme.jobs:lifecycle" is defined already at src/b.yaml:3',
        '.wippy/vendor/acme/jobs/src/_index.yaml:16: entry "acme.jobs:lifecycle" is defined already at src/b.yaml:3',
    ]
