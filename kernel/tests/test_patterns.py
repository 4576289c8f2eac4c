"""Lua patterns: the same answers as string.* of Lua 5.4 whichever matcher runs, and no call that runs for ever."""

from __future__ import annotations

import time
from importlib import resources
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lupa import lua54

from wippy.sandbox.vm import Vm, VmSettings

CHUNKS = ("pattern_program", "pattern_matcher", "patterns")

#: Compares what a function of string does with what ours does; returns nil, or the difference.
COMPARE = rb"""
local ours = ...
local function shape(ok, ...)
  local values = { tostring(ok) }
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    values[#values + 1] = math.type(value) or type(value)
    values[#values + 1] = (tostring(value):gsub("^[%w%[%]\"]+:%d+: ", ""))
  end
  return table.concat(values, "|")
end
local function iterate(gmatch, ...)
  local all = {}
  for a, b, c in gmatch(...) do
    all[#all + 1] = shape(true, a, b, c)
    if #all > 40 then break end
  end
  return table.concat(all, ";")
end
local function same(...) return ... end
local calls = { -- a message names the field that was called, but not in a tail call
  find = function(f, ...) return same(f.find(...)) end,
  match = function(f, ...) return same(f.match(...)) end,
  gsub = function(f, ...) return same(f.gsub(...)) end,
}
local function run(functions, name, ...)
  if name == "gmatch" then
    return shape(pcall(iterate, functions.gmatch, ...))
  end
  return shape(pcall(calls[name], functions, ...))
end
return function(name, ...)
  local expected, actual = run(string, name, ...), run(ours, name, ...)
  if expected ~= actual then
    return "expected " .. expected .. "\ngot      " .. actual
  end
end
"""


def load_patterns(slow: bool) -> tuple[Any, Any]:
    """Return a Lua and the comparison; `slow` sends every pattern to the matcher in Lua."""
    lua = lua54.LuaRuntime(encoding=None, register_eval=False)
    kernel = lua.execute(b"return { error_text = function(value) return value end, type = type }")
    load = lua.execute(b"return function(kernel, source, name) return assert(load(source, name))(kernel) end")
    for name in CHUNKS:
        source = (resources.files("wippy.sandbox") / "lua" / f"{name}.lua").read_bytes()
        if slow and name == "pattern_program":
            assert source.count(b"MOST_STEPS = 5000000") == source.count(b"return HUGE") == 1
            source = source.replace(b"MOST_STEPS = 5000000", b"MOST_STEPS = -1").replace(b"return HUGE", b"return -1")
            source = source.replace(b"local low, high = 0,", b"local low, high = -1,")
        load(kernel, source, b"=[kernel]~ " + name.encode())
    compare = load(lua.execute(b"return ...", kernel)[b"patterns"], COMPARE, b"=compare")
    return lua, compare


LUAS = {"fast": load_patterns(False), "slow": load_patterns(True)}

subjects = st.text("ab1 =()\n", max_size=12) | st.text(max_size=6) | st.text("a ", max_size=30)
classes = st.sampled_from(
    ["a", "b", ".", "%a", "%d", "%s", "%w", "%S", "[ab]", "[^a]", "[%w_]", "[a-z]", "[]]", "=", "%(", "%.", "1"]
)
items = st.one_of(
    st.tuples(classes, st.sampled_from(["", "*", "+", "-", "?"])).map("".join),
    st.sampled_from(
        ["(", ")", "()", "%1", "%2", "%b()", "%bab", "%f[%w]", "%f[^a]", "$", "^", "%", "[", "[^", "%f", "%b"]
    ),
)
bodies = st.lists(items, max_size=7).map("".join)
enclosed = st.lists(classes.map(lambda c: f"({c}+)") | items, max_size=5).map("".join)
patterns = st.tuples(st.sampled_from(["", "^"]), bodies | enclosed, st.sampled_from(["", "$"])).map("".join)
replacements = st.text("a%012", max_size=5)


def assert_same(which: str, name: str, *args: Any) -> None:
    _, compare = LUAS[which]
    encoded = [arg.encode() if isinstance(arg, str) else arg for arg in args]
    difference = compare(name.encode(), *encoded)
    assert difference is None, f"{name}{args}: {difference.decode(errors='replace')}"


@pytest.mark.parametrize("which", LUAS)
@settings(max_examples=1500, deadline=None)
@given(subject=subjects, pattern=patterns, init=st.none() | st.integers(-8, 14), replacement=replacements)
@example("THE (quick) fox", "%f[%a]%a+%f[%A]", None, "<%0>")
@example("  trim me  ", "^%s*(.-)%s*$", None, "%1")
@example("aaab", "a-b", 2, "%%")
@example("hello hello", "(%w+) %1", None, "%1")
@example("abc", "", None, "-")
@example("aaa", "a?" * 20 + "a" * 3, None, "x")
@example("x" * 9, "(x?)" * 33, None, "x")
def test_results_and_errors_are_those_of_lua(
    which: str, subject: str, pattern: str, init: int | None, replacement: str
) -> None:
    start = () if init is None else (init,)
    assert_same(which, "find", subject, pattern, *start)
    assert_same(which, "match", subject, pattern, *start)
    assert_same(which, "gmatch", subject, pattern, *start)
    assert_same(which, "gsub", subject, pattern, replacement, *start)


@pytest.mark.parametrize("which", LUAS)
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("find", ("a+b", "+", 1, True)),
        ("find", ("a+b", "+", -2, True)),
        ("find", ("abc", "b", 10)),
        ("find", ("abc", "", 4)),
        ("find", ("abc", "", 5)),
        ("find", (None, "a")),
        ("find", ("a", None)),
        ("find", ("a", "a", "x")),
        ("find", ("a1", 1)),
        ("find", (121, 2)),
        ("match", ("abc", "b", 1.5)),
        ("match", ("abc", "b", 2.0)),
        ("match", (1.5, "%.")),
        ("gmatch", (None, "a")),
        ("gmatch", ("^a^a", "^a")),
        ("gsub", ("abc", "b", None)),
        ("gsub", ("abc", "b", "x", 0)),
        ("gsub", ("aaa", "a", "x", 2)),
        ("gsub", ("aaa", "a", "x", "2")),
        ("gsub", ("aaa", "a", 7)),
        ("gsub", ("aaa", "a", True)),
        ("gsub", ("a", "(" * 300, "")),
    ],
)
def test_arguments_are_taken_as_lua_takes_them(which: str, name: str, args: tuple[Any, ...]) -> None:
    assert_same(which, name, *args)


@pytest.mark.parametrize("which", LUAS)
def test_tables_and_functions_replace(which: str) -> None:
    lua, compare = LUAS[which]
    for repl in (
        b"{ a = '1', b = 2, c = false }",
        b"{ a = {} }",
        b"setmetatable({}, { __index = function(_, k) return k .. k end })",
        b"function(c, d) return d or c:upper() end",
        b"function(c) if c ~= 'a' then return nil end return 1.5 end",
        b"function() return {} end",
        b"function() error({}) end and tostring",
    ):
        replacement = lua.execute(b"return " + repl)
        for pattern in (b"%w", b"(%w)(%w?)", b"()b", b"%w*", b"x", b"^a", b"b$"):
            difference = compare(b"gsub", b"abc cab b", pattern, replacement)
            assert difference is None, (repl, pattern, difference)


def run(source: bytes, *, seconds: float = 20) -> Any:
    """Run a chunk as a task of a VM, in slices, and return what it sets `kernel.result` to."""
    vm = Vm(VmSettings(clock=time.monotonic, wall_clock=time.time_ns, monotonic=time.monotonic), {})
    result = vm.extend(
        "test",
        b"local kernel, result = ..., {} kernel.base.channel = kernel.channel_library kernel.spawn_task(kernel.system, function() "
        b"result[1] = assert(load([====[" + source + b"]====], '@app', 't', kernel.base))() end) "
        b"return function() return result[1] end",
    )
    end = time.monotonic() + seconds
    while (value := result()) is None and time.monotonic() < end:
        vm.step(time.monotonic(), 1 << 62, time.monotonic() + 0.004, 0, 0)
    vm.leave()
    return value


@pytest.mark.parametrize(
    "search",
    [
        b'("x"):rep(3000):find((".-"):rep(4) .. "b")',
        b'("a"):rep(3000):match(("a*"):rep(20) .. "b")',
        b'("a"):rep(40):match(("a?"):rep(40) .. ("a"):rep(41) .. "b?$")',
        b'("<"):rep(100000):gsub("<(.-)>", "")',
        b'("("):rep(100000):find("%b()")',
    ],
)
def test_a_pattern_that_would_run_for_ever_is_given_up(search: bytes) -> None:
    message = run(b"local ok, e = pcall(function() local r = " + search + b" return r end) return tostring(e)")
    assert message == b"app:1: pattern too complex"


def test_long_subjects_of_ordinary_patterns_are_answered() -> None:
    assert run(b'return #("  " .. ("word  "):rep(20000)):match("^%s*(.-)%s*$")') == 119998
    assert run(b'return select(2, ("key=value;"):rep(5000):gsub("(%w+)=(%w+)", "%2=%1"))') == 5000
    assert run(b'return #("{{name}} "):rep(5000):gsub("{{(.-)}}", { name = "x" })') == 10000
    assert run(b'local n = 0 for a in ("f(x) "):rep(5000):gmatch("%b()") do n = n + #a end return n') == 15000


def test_a_plain_search_of_a_long_text_ends() -> None:
    found = run(b'return (("a"):rep(200000) .. "b"):find(("a"):rep(20000) .. "b", 1, true)')
    assert found == 180001


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (b'("x"):find("[")', b"malformed pattern (missing ']')"),
        (b'("x"):find(nil)', b"bad argument #1 to 'find' (string expected, got nil)"),
        (b"string.find(nil)", b"bad argument #1 to 'find' (string expected, got nil)"),
        (b'string.match("x", {})', b"bad argument #2 to 'match' (string expected, got table)"),
        (b'("x"):gsub("x", true)', b"bad argument #2 to 'gsub' (string/function/table expected, got boolean)"),
    ],
)
def test_errors_name_the_caller(call: bytes, message: bytes) -> None:
    assert run(b"return select(2, pcall(function() local r = " + call + b" return r end))") == b"app:1: " + message


def test_a_replacement_cannot_fill_the_memory() -> None:
    source = b'local big = ("x"):rep(1000000) return select(2, pcall(string.gsub, big, ".", big))'
    assert run(source).endswith(b"resulting string too large")


def test_a_callback_may_wait() -> None:
    source = (
        b"local to, back = channel.new(0), channel.new(0) "
        b'coroutine.spawn(function() while true do back:send(to:receive() .. "!") end end) '
        b'return (("a b"):gsub("%w", function(c) to:send(c) return (back:receive()) end))'
    )
    assert run(source) == b"a! b!"
