"""The Lua module registry: reading, snapshots, versions, changes."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.errors import ALREADY_EXISTS, INVALID, NOT_FOUND, PERMISSION_DENIED, Error
from wippy.registry.entry import Entry
from wippy.testing import app_of, function, run_lua

ENTRIES = [
    Entry("app:limits", "registry.entry", {"type": "config", "tags": ["a", "b"], "level": 3}, {"max": 10, "deep": {}}),
    Entry("app:colours", "registry.entry", {"type": "config", "tags": ["c"]}, {"list": ["red", "blue"]}),
    Entry("app.sub:doc", "ns.definition", {"type": "doc"}, {"readme": "text"}),
]


async def lua(source: str, *args: Any, entries: list[Entry] = ENTRIES) -> Any:
    return await run_lua(
        'local registry = require("registry")\n' + source, *args, modules=["registry"], entries=entries
    )


async def failure(source: str) -> tuple[str, str]:
    with pytest.raises(Error) as caught:
        await lua(source)
    return caught.value.kind, str(caught.value)


# Reading ------------------------------------------------------------------------------------------------------------


async def test_get_gives_a_plain_table():
    found = await lua("""
        local entry = registry.get("app:limits")
        return {type(entry), entry.id, entry.kind, entry.meta.level, entry.data.max, getmetatable(entry) == nil}
        """)
    assert found == ["table", "app:limits", "registry.entry", 3, 10, True]


async def test_get_keeps_empty_maps_and_placeholders():
    entry = Entry("app:raw", "registry.entry", {}, {"map": {}, "list": [], "text": "${env:NAME|x}"})
    assert await lua('return registry.get("app:raw")', entries=[entry]) == {
        "id": "app:raw",
        "kind": "registry.entry",
        "meta": {},
        "data": entry.data,
    }


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ('registry.get("app:nothing")', NOT_FOUND),
        ("registry.get(7)", INVALID),
        ('registry.find("text")', INVALID),
        ('registry.find({["~meta.type"] = "("})', INVALID),
        ('registry.find({"config"})', INVALID),
        ("registry.snapshot_at(0)", NOT_FOUND),
        ("registry.snapshot_at(-1)", NOT_FOUND),
        ("registry.snapshot_at(99)", NOT_FOUND),
        ("registry.snapshot_at(1.5)", INVALID),
        ("registry.apply_version(99)", NOT_FOUND),
        ("registry.apply_version()", INVALID),
        ("registry.history():get_version(99)", NOT_FOUND),
        ("registry.history():snapshot_at(0)", NOT_FOUND),
        ('registry.snapshot():get("app:nothing")', NOT_FOUND),
        ("registry.snapshot():namespace()", INVALID),
        ("registry.build_delta({})", INVALID),
        ('registry.build_delta({{id = "x", kind = "registry.entry"}}, {})', INVALID),
    ],
)
async def test_bad_requests_say_why(call: str, kind: str):
    assert (await failure(f"return {call}"))[0] == kind


async def test_find():
    source = """
        local ids = {}
        for i, entry in ipairs(registry.find(...)) do ids[i] = entry.id end
        return table.concat(ids, " ")
        """
    assert await lua(source, {"meta.type": "config"}) == "app:colours app:limits"
    assert await lua(source, {"*meta.tags": "b", ".kind": "registry.*"}) == "app:limits"
    assert await lua(source, {".ns": "app.sub"}) == "app.sub:doc"
    assert await lua(source, {"meta.level": 4}) == ""
    assert await lua(source, {}) == await lua(source) == "app.sub:doc app:colours app:limits test:main"


async def test_parse_id():
    source = "local id = registry.parse_id(...) return {id.ns, id.name}"
    assert await lua(source, "app.lib:assert") == ["app.lib", "assert"]
    assert await lua(source, "a:b:c") == ["a", "b:c"]
    assert await lua(source, "x") == ["", "x"]
    with pytest.raises(Error, match="string expected"):
        await lua(source, 7)


# Changes ------------------------------------------------------------------------------------------------------------


async def test_a_function_made_at_run_time_is_called_at_once():
    assert await lua("""
        local version, err = registry.snapshot():changes()
          :create({id = "app:add", kind = "function.lua", data = {
            source = "return function(a, b) return a + b end", method = "main", imports = {}, modules = {}}})
          :apply()
        if err then return nil, err end
        return {version:id(), funcs.call("app:add", 2, 3)}
        """) == [2, 5]


async def test_update_and_delete_take_effect_at_once():
    source = """
        local function program(n)
          return {id = {ns = "app", name = "f"}, kind = "function.lua",
            data = {source = "return function() return " .. n .. " end", method = "main"}}
        end
        local seen = {}
        assert(registry.snapshot():changes():create(program(1)):apply())
        seen[1] = funcs.call("app:f")
        assert(registry.snapshot():changes():update(program(2)):apply())
        seen[2] = funcs.call("app:f")
        assert(registry.snapshot():changes():delete({ns = "app", name = "f"}):apply())
        local _, err = funcs.call("app:f")
        seen[3] = err:kind()
        return seen
        """
    assert await lua(source) == [1, 2, "NotFound"]


async def test_a_rejected_change_leaves_everything_as_it_was():
    source = """
        local before = registry.current_version()
        local version, err = registry.snapshot():changes()
          :create({id = "app:kept", kind = "registry.entry", data = {x = 1}})
          :create({id = "app:broken", kind = "function.lua", data = {source = "return function(", method = "main"}})
          :apply()
        local _, missing = registry.get("app:kept")
        return {version == nil, err:kind(), err:message(), missing:kind(), before == registry.current_version()}
        """
    nothing, kind, message, missing, same = await lua(source)
    assert (nothing, kind, missing, same) == (True, INVALID, NOT_FOUND, True)
    assert "app:broken" in message


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ("", INVALID, "no changes"),
        (':create({id = "app:limits", kind = "registry.entry"})', ALREADY_EXISTS, "app:limits"),
        (':update({id = "app:none", kind = "registry.entry"})', NOT_FOUND, "app:none"),
        (':delete("app:none")', NOT_FOUND, "app:none"),
        (":delete()", INVALID, "id"),
        (':create("app:x")', INVALID, "table"),
        (':create({kind = "registry.entry"})', INVALID, "id"),
        (':create({id = "nothing", kind = "registry.entry"})', INVALID, "namespace"),
        (':create({id = "app:x"})', INVALID, "kind"),
        (':create({id = "app:x", kind = "registry.entry", data = 7})', INVALID, "data must be a table"),
        (':create({id = "app:x", kind = "registry.entry", meta = {1, 2}})', INVALID, "meta"),
        (':create({id = "app:x", kind = "no.such.kind"})', NOT_FOUND, "no.such.kind"),
        (':create({id = "x"}):create({id = "app:y", kind = "registry.entry"})', INVALID, "kind"),
    ],
)
async def test_changes_that_cannot_be(change: str, kind: str, message: str):
    found = await failure(f"return registry.snapshot():changes(){change}:apply()")
    assert found[0] == kind
    assert message in found[1]


async def test_data_that_contains_itself_is_refused():
    kind, message = await failure("""
        local data = {}
        data.data = data
        return registry.snapshot():changes():create({id = "app:x", kind = "registry.entry", data = data}):apply()
        """)
    assert kind == INVALID
    assert "app:x" in message


async def test_a_change_is_a_copy_of_what_it_was_given():
    assert (
        await lua("""
        local entry = {id = "app:x", kind = "registry.entry", data = {n = 1}}
        local changes = registry.snapshot():changes():create(entry)
        entry.data.n = 2
        changes:ops()[1].entry.data.n = 3
        assert(changes:apply())
        return registry.get("app:x").data.n
        """)
        == 1
    )


async def test_ops():
    assert await lua("""
        local changes = registry.snapshot():changes()
        changes:create({id = "app:a", kind = "registry.entry", meta = {m = 1}})
        changes:update({id = "app:b", kind = "registry.entry"})
        changes:delete("app:c")
        local seen = {}
        for i, op in ipairs(changes:ops()) do seen[i] = op.kind .. " " .. op.entry.id end
        return seen
        """) == ["entry.create app:a", "entry.update app:b", "entry.delete app:c"]


async def test_an_entry_as_it_was_read_can_be_changed_and_given_back():
    assert await lua("""
        local entry = registry.get("app:limits")
        entry.data.max = 20
        assert(registry.snapshot():changes():update(entry):apply())
        local again = registry.get("app:limits")
        return {again.data.max, again.meta.tags}
        """) == [20, ["a", "b"]]


# Snapshots and versions ---------------------------------------------------------------------------------------------


async def test_a_snapshot_does_not_change():
    assert await lua("""
        local before = registry.snapshot()
        local function view(snapshot)
          local gone = snapshot:get("app:colours")
          return {snapshot:get("app:limits").data.max, gone and gone.id or "", #snapshot:entries(),
            #snapshot:find({["meta.type"] = "config"}), #snapshot:namespace("app"), snapshot:version():id()}
        end
        local seen = {view(before)}
        assert(before:changes():update({id = "app:limits", kind = "registry.entry", data = {max = 11}})
          :delete("app:colours"):apply())
        seen[2], seen[3] = view(before), view(registry.snapshot())
        seen[4] = view(registry.snapshot_at(1))
        return seen
        """) == [
        [10, "app:colours", 4, 2, 2, 1],
        [10, "app:colours", 4, 2, 2, 1],
        [11, "", 3, 0, 1, 2],
        [10, "app:colours", 4, 2, 2, 1],
    ]


async def test_a_namespace_is_meant_exactly():
    entries = [Entry("a*:x", "registry.entry"), Entry("ab:x", "registry.entry")]
    assert await lua('return #registry.snapshot():namespace("a*")', entries=entries) == 1


async def test_versions_lead_to_each_other():
    assert await lua("""
        local first = registry.current_version()
        local second = assert(registry.snapshot():changes():create({id = "app:a", kind = "registry.entry"}):apply())
        assert(registry.apply_version(first))
        local third = assert(registry.snapshot():changes():create({id = "app:b", kind = "registry.entry"}):apply())
        local ids = {}
        for i, version in ipairs(registry.versions()) do ids[i] = version:id() end
        return {ids, first:previous() == nil, second:previous():id(), third:previous():id(), first:next():id(),
          third:next() == nil, first:string(), math.type(first:id())}
        """) == [[1, 2, 3], True, 1, 1, 3, True, "v1", "integer"]


async def test_apply_version_moves_either_way():
    assert await lua("""
        local function has() return registry.get("app:a") ~= nil end
        local first = registry.current_version()
        local second = assert(registry.snapshot():changes():create({id = "app:a", kind = "registry.entry"}):apply())
        local seen = {has()}
        assert(registry.apply_version(first) == true)
        seen[2], seen[3] = has(), registry.current_version():id()
        assert(registry.apply_version(second:id()))
        seen[4], seen[5] = has(), #registry.versions()
        return seen
        """) == [True, False, 1, True, 2]


async def test_history():
    assert await lua("""
        local history = registry.history()
        local version = history:get_version(1)
        return {#history:versions(), version:id(), history:snapshot_at(version):get("app:limits").data.max}
        """) == [1, 1, 10]


async def test_names_of_handles():
    assert await lua("""
        local snapshot = registry.snapshot()
        local names = {}
        for i, handle in ipairs({snapshot, snapshot:changes(), snapshot:version(), registry.history()}) do
          names[i] = type(handle) .. " " .. tostring(handle)
        end
        return names
        """) == ["userdata Snapshot{1}", "userdata Changes{0}", "userdata Version{1}", "userdata History{}"]


@pytest.mark.parametrize(
    "call",
    ["registry.snapshot().get({}, 'app:a')", "registry.snapshot():changes().apply({})", "registry.history().versions({})",
     "registry.current_version().id({})"],
)  # fmt: skip
async def test_methods_check_their_object(call: str):
    with pytest.raises(Error, match="expected"):
        await lua(f"return {call}")


# Deltas -------------------------------------------------------------------------------------------------------------


async def test_build_delta():
    assert await lua("""
        local function entry(name, data) return {id = "t:" .. name, kind = "registry.entry", data = data or {}} end
        local before = {entry("a"), entry("b", {n = 1}), entry("c")}
        local ops = registry.build_delta(before, {entry("b", {n = 2}), entry("c"), entry("d")})
        local seen = {}
        for i, op in ipairs(ops) do seen[i] = op.kind .. " " .. op.entry.id end
        return seen
        """) == ["entry.delete t:a", "entry.update t:b", "entry.create t:d"]


async def test_build_delta_puts_what_others_need_first():
    assert await lua("""
        local library = {id = "t:library", kind = "library.lua", data = {source = "return {}"}}
        local user = {id = "t:user", kind = "function.lua",
          data = {source = "return function() end", method = "main", imports = {lib = "library"}}}
        local up, down = registry.build_delta({}, {user, library}), registry.build_delta({user, library}, {})
        return {up[1].entry.id, up[2].entry.id, down[1].entry.id, down[2].entry.id}
        """) == ["t:library", "t:user", "t:user", "t:library"]


# Permissions --------------------------------------------------------------------------------------------------------

#: What a security plugin does: replaces kernel.permit.
DENY = """
local kernel = ...
function kernel.permit(action, resource)
  if action ~= "registry.get" or resource == "app:limits" then
    return nil, kernel.new_error("denied: " .. action, "PermissionDenied", false)
  end
  return true
end
"""


async def test_permissions():
    main = function(
        "test:main",
        """return function()
          local registry = require("registry")
          local ids = {}
          for i, entry in ipairs(registry.find({[".ns"] = "app"})) do ids[i] = entry.id end
          local _, get = registry.get("app:limits")
          local _, change = registry.snapshot():changes():delete("app:colours"):apply()
          local _, version = registry.apply_version(1)
          return {ids, #registry.snapshot():entries(), get:kind(), change:kind(), version:kind()}
        end""",
        ["registry"],
    )
    async with app_of(main, *ENTRIES) as app:
        app.node.extend("deny", DENY)
        assert await app.call("test:main") == [["app:colours"], 3, *[PERMISSION_DENIED] * 3]
