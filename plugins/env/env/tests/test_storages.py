"""Storages and variables as entries, seen from Lua and from other entries."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wippy.app import App
from wippy.errors import INTERNAL, INVALID, NOT_FOUND, PERMISSION_DENIED, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.testing import app_at, app_of, function
from wippy_plugin_env import EnvStorage

GET = function(
    "app:get",
    'return function(name) local v, e = require("env").get(name) if e then return nil, e end return v end',
    ["env"],
)
SET = function("app:set", 'return function(name, value) return require("env").set(name, value) end', ["env"])


def storage(name: str, kind: str, **data: Any) -> Entry:
    return Entry(f"app:{name}", f"env.storage.{kind}", data=data)


def variable(name: str, storage: str, public: str | None = None, **data: Any) -> Entry:
    if public is not None:
        data["variable"] = public
    return Entry(f"app:{name}", "env.variable", data={"storage": storage, **data})


MEMORY = storage("memory", "memory")


async def failure(app: App, name: str, *args: Any) -> tuple[str, str]:
    with pytest.raises(Error) as caught:
        await app.call(name, *args)
    return caught.value.kind, str(caught.value)


async def test_memory():
    async with app_of(MEMORY, variable("a", "memory", "A", default="first"), GET, SET) as app:
        assert await app.call("app:get", "A") == "first"
        assert await app.call("app:set", "A", "second") is True
        assert await app.call("app:get", "A") == await app.call("app:get", "app:a") == "second"
        await app.registry.apply(
            [Operation(Op.UPDATE, Entry("app:memory", "env.storage.memory", {"doc": "x"}), MEMORY)]
        )
        assert await app.call("app:get", "A") == "second"


async def test_os_shows_only_what_a_variable_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WIPPY_TEST_SHOWN", "yes")
    monkeypatch.setenv("WIPPY_TEST_HIDDEN", "no")
    async with app_of(storage("os", "os"), variable("shown", "os", "WIPPY_TEST_SHOWN"), GET, SET) as app:
        assert await app.call("app:get", "WIPPY_TEST_SHOWN") == "yes"
        assert (await failure(app, "app:get", "WIPPY_TEST_HIDDEN"))[0] == NOT_FOUND
        assert await failure(app, "app:set", "WIPPY_TEST_SHOWN", "x") == (
            PERMISSION_DENIED,
            "storage app:os is read-only",
        )


async def test_static():
    values = {"HOST": "example.com", "PORT": 80, "TLS": True}
    entries = [variable(name.lower(), "static", name) for name in values]
    async with app_of(storage("static", "static", values=values), *entries, GET, SET) as app:
        assert [await app.call("app:get", name) for name in values] == ["example.com", "80", "true"]
        assert (await failure(app, "app:set", "HOST", "x"))[0] == PERMISSION_DENIED


async def test_readonly_variable():
    async with app_of(MEMORY, variable("a", "memory", "A", default="x", readonly=True), SET) as app:
        assert await failure(app, "app:set", "A", "y") == (PERMISSION_DENIED, 'environment variable "A" is read-only')


async def test_a_variable_without_value_and_default():
    async with app_of(MEMORY, variable("a", "memory", "A"), variable("b", "memory"), GET, SET) as app:
        assert await failure(app, "app:get", "A") == (
            NOT_FOUND,
            'environment variable "A" has no value and no default',
        )
        assert (await failure(app, "app:set", "none", "x"))[0] == NOT_FOUND
        await app.call("app:set", "app:b", "")
        assert await app.call("app:get", "app:b") == ""
        assert app.resources.get("app:memory", EnvStorage).get("b") == ""  # kept under its entry's name


async def test_the_first_to_claim_a_name_keeps_it():
    one, two = variable("one", "memory", "A", default="1"), variable("two", "memory", "A", default="2")
    changed = variable("one", "memory", "A", default="changed")
    async with app_of(MEMORY, one, two, GET) as app:
        seen = [await app.call("app:get", "A"), await app.call("app:get", "app:two")]
        await app.registry.apply([Operation(Op.UPDATE, changed, one)])
        seen.append(await app.call("app:get", "A"))
        await app.registry.apply([Operation(Op.UPDATE, variable("one", "memory", "B", default="moved"), changed)])
        seen += [await app.call("app:get", "A"), await app.call("app:get", "B")]
        await app.registry.apply([Operation(Op.DELETE, two)])
        assert seen == ["1", "2", "changed", "2", "moved"]
        assert (await failure(app, "app:get", "A"))[0] == NOT_FOUND


@pytest.mark.parametrize("name", ["A B", "a-b", "ä", ""])
async def test_names_of_variables(name: str):
    with pytest.raises(Error, match=r"app:a.*no variable name") as caught:
        async with app_of(MEMORY, variable("a", "memory", name)):
            pass
    assert caught.value.kind == INVALID


# Routers ------------------------------------------------------------------------------------------------------------


async def test_router_reads_in_order_writes_first_and_remembers():
    base = storage("base", "static", values={"A": "base", "B": "base"})
    router = storage("router", "router", storages=["memory", "app:base"])
    entries = [MEMORY, base, router, variable("a", "router", "A"), variable("b", "router", "B")]
    async with app_of(*entries, GET, SET) as app:
        memory = app.resources.get("app:memory", EnvStorage)
        memory.set("A", "memory")
        seen = [await app.call("app:get", "A"), await app.call("app:get", "B")]
        memory.set("B", "behind its back")
        seen.append(await app.call("app:get", "B"))
        await app.call("app:set", "B", "set")
        seen += [await app.call("app:get", "B"), memory.get("B")]
        assert seen == ["memory", "base", "base", "set", "set"]


async def test_router_forgets_what_a_changed_storage_said():
    before = storage("base", "static", values={"A": "1"})
    async with app_of(before, storage("router", "router", storages=["base"]), variable("a", "router", "A"), GET) as app:
        assert await app.call("app:get", "A") == "1"
        await app.registry.apply([Operation(Op.UPDATE, storage("base", "static", values={"A": "2"}), before)])
        assert await app.call("app:get", "A") == "2"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([storage("r", "router", storages=[])], "at least one storage"),
        ([storage("r", "router", storages=["r"])], "back to itself"),
        ([storage("r", "router", storages=["s"]), storage("s", "router", storages=["r"])], "back to itself"),
        ([storage("r", "router", storages=["nothing"])], "does not exist"),
        ([variable("v", "nothing", "V")], "does not exist"),
    ],
)
async def test_what_cannot_work_stops_the_boot(entries: list[Entry], message: str):
    with pytest.raises(Error, match=message):
        async with app_of(*entries):
            pass


# Files --------------------------------------------------------------------------------------------------------------

FILE = """
version: "1.0"
namespace: app
entries:
  - {name: file, kind: env.storage.file, file_path: conf/sub/app.env, %s}
  - {name: a, kind: env.variable, variable: A, storage: file, default: none}
  - {name: b, kind: env.variable, variable: B, storage: file}
  - {name: get, kind: function.lua, source: 'return require("env").get', method: main, modules: [env]}
  - {name: set, kind: function.lua, source: 'return require("env").set', method: main, modules: [env]}
"""


def files(fields: str = "auto_create: true, file_mode: 0600, dir_mode: 0700") -> Mapping[str, str]:
    return {"_index.yaml": FILE % fields}


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("modes", ["file_mode: 0600, dir_mode: 0700", 'file_mode: "0600", dir_mode: "0o700"'])
async def test_file_is_created_written_and_survives(tmp_path: Path, modes: str):
    path = tmp_path / "conf/sub/app.env"
    async with app_at(tmp_path, files(f"auto_create: true, {modes}")) as app:
        assert [permissions(p) for p in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]
        assert await app.call("app:get", "A") == "none"
        await app.call("app:set", "A", "kept")
        assert (path.read_text(), permissions(path)) == ("A=kept\n", 0o600)
    async with app_at(tmp_path, files()) as app:
        assert await app.call("app:get", "A") == "kept"
    assert [p.name for p in path.parent.iterdir()] == ["app.env"]


async def test_file_is_read_again_when_it_changes(tmp_path: Path):
    async with app_at(tmp_path, files()) as app:
        (tmp_path / "conf/sub/app.env").write_text("# by hand\nB=new value\n")
        assert await app.call("app:get", "B") == "new value"
        await app.call("app:set", "A", "1")
        assert (tmp_path / "conf/sub/app.env").read_text() == "# by hand\nB=new value\nA=1\n"
        assert (await failure(app, "app:set", "A", "x # y"))[0] == INVALID


async def test_a_file_that_went_away(tmp_path: Path):
    async with app_at(tmp_path, files()) as app:
        (tmp_path / "conf/sub/app.env").unlink()
        assert (await failure(app, "app:get", "B"))[0] == NOT_FOUND


async def test_a_file_that_is_missing_stops_the_boot(tmp_path: Path):
    with pytest.raises(Error, match=r"app:file \(src/_index.yaml:5\).*auto_create: true") as caught:
        async with app_at(tmp_path, files("auto_create: false")):
            pass
    assert caught.value.kind == NOT_FOUND


@pytest.mark.parametrize(
    ("content", "message"), [(b"A=1\nbroken\n", r"app\.env:2: expected NAME=value"), (b"A=\xff\n", "not valid UTF-8")]
)
async def test_a_file_that_is_broken_stops_the_boot(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "conf/sub/app.env"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(Error, match=message):
        async with app_at(tmp_path, files()):
            pass


async def test_a_path_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "conf").write_text("a file where a directory should be")
    with pytest.raises(Error, match="cannot create") as caught:
        async with app_at(tmp_path, files()):
            pass
    assert caught.value.kind == INTERNAL


@pytest.mark.parametrize("mode", ["99", "-1", "rw"])
async def test_modes_that_are_none(tmp_path: Path, mode: str):
    with pytest.raises(Error, match="file_mode must be a file mode"):
        async with app_at(tmp_path, files(f'auto_create: true, file_mode: "{mode}"')):
            pass


# What entries read --------------------------------------------------------------------------------------------------

READER = """
version: "1.0"
namespace: app
entries:
  - name: reader
    kind: function.lua
    source: 'return function() return 1 end'
    method: ${env:METHOD}
    pool: {max_size: "${env:app:size|3}"}
  - {name: size, kind: env.variable, storage: values}
  - {name: method, kind: env.variable, variable: METHOD, storage: values}
  - {name: values, kind: env.storage.static, values: {METHOD: main, size: "5"}}
"""


async def test_entries_read_variables_whatever_the_order_in_the_file(tmp_path: Path):
    async with app_at(tmp_path, {"_index.yaml": READER}) as app:
        assert await app.call("app:reader") == 1
        code = app.code.get("app:reader")
        assert (code.method, code.options["pool"]["max_size"]) == ("main", 5)


async def test_a_variable_made_in_the_same_change_is_there_for_the_others():
    reader = Entry("app:f", "function.lua", data={"source": "return function() return 1 end", "method": "${env:M}"})
    values = storage("values", "static", values={"M": "main"})
    async with app_of() as app:
        await app.registry.apply([Operation(Op.CREATE, e) for e in (reader, variable("m", "values", "M"), values)])
        assert app.code.get("app:f").method == "main"
