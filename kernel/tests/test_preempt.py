"""Preemption, budgets and the memory limit, with the native part and without it: invariants, not timings."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from wippy.errors import Error
from wippy.sandbox.codec import pack, unpack
from wippy.sandbox.vm import Vm, VmSettings
from wippy.scheduler import preempt
from wippy.scheduler.worker import COMMAND, LOG, REPLY, SLOTS

#: What programs of these tests see beside the base.
LIBRARY = b"""
local kernel = ...
kernel.base.channel = kernel.channel_library
kernel.base.lab = {
  sleep = function(seconds) kernel.sleep(seconds) end,
  call = function(id, ...) return kernel.call(id, kernel.copy_args({ n = select("#", ...), ... })) end,
}
"""


class Lab:
    """A VM whose functions are written on the spot, given time by the test itself."""

    def __init__(self, native: bool, **settings: Any) -> None:
        clocks: dict[str, Callable[[], Any]] = {
            "clock": time.monotonic,
            "wall_clock": time.time_ns,
            "monotonic": time.monotonic,
        }
        self.vm = Vm(VmSettings(native=native, **settings, **clocks), {})
        self.vm.extend("lab", LIBRARY)
        self.results: dict[int, tuple[bool, Any]] = {}
        self._functions: dict[str, dict[str, Any]] = {}
        self._ids = itertools.count(1)

    def define(self, name: str, source: str, **fields: Any) -> None:
        self._functions[name] = {
            "id": name, "name": name, "kind": "function", "method": "main", "source": source, **fields,
        }  # fmt: skip

    def call(self, name: str, *args: Any) -> int:
        call_id = next(self._ids)
        self.vm.call(call_id, name.encode(), pack(list(args)), pack({}))
        return call_id

    def start(self, source: str, *args: Any, **fields: Any) -> int:
        name = f"f{len(self._functions)}"
        self.define(name, source, **fields)
        return self.call(name, *args)

    def step(self) -> None:
        now = time.monotonic()
        _, _, _, *outbox = self.vm.step(now, 1 << 62, now + 0.004, 0, 0)
        for at in range(0, len(outbox), SLOTS):
            op, a, b, c, _ = outbox[at : at + SLOTS]
            if op == COMMAND:
                (name,) = unpack(c)
                self.vm.complete(a, True, pack({"modules": [], "entries": [self._functions[name]]}))
            elif op == REPLY:
                self.results[a] = (b, unpack(c))
            else:
                assert op == LOG, op

    def run(self, *ids: int) -> list[Any]:
        """Give time until these calls have ended; returns their values or Errors."""
        end = time.monotonic() + 50
        while not all(i in self.results for i in ids):
            assert time.monotonic() < end, "the calls never end"
            self.step()
        return [self.results[i][1] for i in ids]

    def one(self, source: str, *args: Any, **fields: Any) -> Any:
        return self.run(self.start(source, *args, **fields))[0]

    def close(self) -> None:
        self.vm.leave()


KINDS = [
    pytest.param(True, id="native", marks=pytest.mark.skipif(not preempt.NATIVE, reason=preempt.REASON)),
    pytest.param(False, id="count hook"),
]


@pytest.fixture(params=KINDS)
def native(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def lab(native: bool) -> Any:
    laboratory = Lab(native, stall_limit=0.05)
    yield laboratory
    laboratory.close()


@pytest.mark.skipif(not os.environ.get("WIPPY_REQUIRE_NATIVE"), reason="WIPPY_REQUIRE_NATIVE is not set")
def test_the_native_part_is_there() -> None:
    assert preempt.NATIVE, preempt.REASON


SPINNERS = {
    "loop": "while true do end",
    "pcall": "while true do pcall(function() while true do end end) end",
    "error": "while true do pcall(error, 'again') end",
    "metamethod": "local _ = setmetatable({}, { __index = function() while true do end end }).x",
    "iterator": "for _ in function() while true do end end do end",
    "coroutine": "coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()",
    "close": "do local x <close> = setmetatable({}, { __close = function() while true do end end }) end",
    "order function": "table.sort({ 3, 2, 1 }, function() while true do end end)",
    "replacement": "('abc'):gsub('.', function() while true do end end)",
    "pattern": "while true do pcall(string.find, ('a'):rep(3000), ('.-'):rep(4) .. 'b') end",
    "kernel functions": "local ch = channel.new(1) while true do ch:send(1) ch:receive() end",
}


@pytest.mark.parametrize("spinner", SPINNERS.values(), ids=SPINNERS)
def test_others_run_beside_a_spinner_and_its_limit_ends_it(lab: Lab, spinner: str) -> None:
    spins = lab.start(f"return function() {spinner} end", cpu_limit=0.05)
    polite = lab.start("return function() for _ = 1, 5 do lab.sleep(0) end return 'polite' end")
    assert lab.run(polite) == ["polite"]
    (error,) = lab.run(spins)
    assert isinstance(error, Error)
    assert error.kind == "Timeout"
    assert "0.05 s of processor time" in error.message


STUCK = {
    "tostring": "tostring(setmetatable({}, { __tostring = function() while true do end end }))",
    "caught": (
        "tostring(setmetatable({}, { __tostring = function()"
        " while true do pcall(function() while true do end end) end end }))"
    ),
    "handler": "xpcall(error, function() while true do end end)",
    "handler of the kill": (
        "tostring(setmetatable({}, { __tostring = function()"
        " while true do xpcall(function() while true do end end, function() while true do end end) end end }))"
    ),
    "coroutine in there": (
        "tostring(setmetatable({}, { __tostring = function()"
        " coroutine.wrap(function() while true do end end)() return '' end }))"
    ),
    "closing": (
        "local co = coroutine.create(function()"
        " local x <close> = setmetatable({}, { __close = function() while true do end end }) coroutine.yield() end)"
        " coroutine.resume(co) coroutine.close(co)"
    ),
}


@pytest.mark.parametrize("place", STUCK.values(), ids=STUCK)
def test_what_cannot_yield_is_killed_and_no_pcall_helps(lab: Lab, place: str) -> None:
    stuck = lab.start(f"return function() while true do pcall(function() {place} end) end end")
    (error,) = lab.run(stuck)
    assert isinstance(error, Error)
    assert error.kind == "Timeout"
    assert "cannot be interrupted" in error.message
    # Nothing of the kill is left: the coroutines that served it serve the next calls.
    source = "return function(n) local s = 0 for i = 1, n do s = s + i end return s end"
    assert lab.run(*[lab.start(source, 100_000) for _ in range(20)]) == [5_000_050_000] * 20


def test_terminating_a_process_that_is_preempted_inside_a_coroutine(lab: Lab) -> None:
    victim = lab.start("return function() coroutine.wrap(function() while true do end end)() end")
    for _ in range(5):
        lab.step()
    lab.vm.cancel_call(victim)
    assert lab.one("return function() return 'goes on' end") == "goes on"
    error = lab.results[victim][1]
    assert isinstance(error, Error)
    assert error.kind == "Canceled"


def test_a_limit_counts_what_is_computed_without_waiting(lab: Lab) -> None:
    source = """
    return function()
      local n = 0
      for _ = 1, 12 do
        for i = 1, 400000 do n = n + i % 3 end
        lab.sleep(0)
      end
      return 'done'
    end
    """
    assert lab.one(source, cpu_limit=2.0) == "done"


#: Pieces of work whose results are known, which between them use every way to switch, call back, fail and wait.
WORK = r"""
return function(seed, rounds)
  local s = seed
  local function random(n) s = (s * 1103515245 + 12345) % 2147483648 return s // 65536 % n + 1 end
  local ch = channel.new(random(3) - 1)
  local work = {
    function() local x = 0 for i = 1, 3000 do x = x + i end assert(x == 4501500) end,
    function()
      local t = {}
      for i = 1, 300 do t[i] = (i * 7919) % 301 end
      table.sort(t, function(a, b) return a < b end)
      for i = 2, 300 do assert(t[i - 1] <= t[i]) end
    end,
    function() assert(("hello world"):gsub("o", function(c) return c .. c end) == "helloo woorld") end,
    function()
      local co = coroutine.wrap(function(a) for _ = 1, 50 do a = a + coroutine.yield(a) end return a end)
      local v = co(1)
      for i = 1, 50 do v = co(i) end
      assert(v == 1276)
    end,
    function()
      coroutine.spawn(function() for i = 1, 20 do ch:send(i) end end)
      local sum = 0
      for _ = 1, 20 do sum = sum + ch:receive() end
      assert(sum == 210)
    end,
    function()
      local ok, e = pcall(function() for i = 1, 2000 do end error("boom") end)
      assert(not ok and e:find("boom"))
    end,
    function()
      local t = setmetatable({}, {
        __index = function(_, k) local x = 0 for _ = 1, 100 do x = x + k end return x end,
        __add = function(_, b) return b end,
      })
      for i = 1, 30 do assert(t[i] == i * 100 and t + i == i) end
    end,
    function() assert(lab.call("leaf", s) == s + 1) end,
    function() lab.sleep(0) end,
    function()
      local closed
      do
        local _ <close> = setmetatable({}, { __close = function() for i = 1, 200 do end closed = true end })
        for i = 1, 500 do end
      end
      assert(closed)
    end,
    function()
      local co = coroutine.create(function()
        lab.sleep(0)
        return coroutine.wrap(function() for i = 1, 500 do end lab.sleep(0) coroutine.yield(3) end)() + 1
      end)
      local ok, v = coroutine.resume(co)
      assert(ok and v == 4)
    end,
    function()
      local function count(n, ...) if n == 0 then return select("#", ...) end return count(n - 1, n, ...) end
      assert(count(30) == 30)
    end,
    function()
      local ok, e = xpcall(function() for i = 1, 1000 do end error({ 1 }) end, function(e) return e[1] end)
      assert(not ok and e == 1)
    end,
    function() assert(tostring(setmetatable({}, { __tostring = function() for i = 1, 999 do end return "x" end })) == "x") end,
  }
  for _ = 1, rounds do work[random(#work)]() end
  return seed
end
"""


def work_hard(native: bool, seed: int, batches: int, failures: list[str]) -> None:
    """Run random work under a quantum far too short, and compare the results."""
    lab = Lab(native, quantum=0.0002)
    lab.define("leaf", "return function(x) for i = 1, 500 do end return x + 1 end")
    lab.define("work", WORK, pool={"max_size": 1000})
    source = random.Random(seed)
    for _ in range(batches):
        seeds = [source.randrange(1 << 30) for _ in range(20)]
        results = lab.run(*[lab.call("work", number, 30) for number in seeds])
        if results != seeds:
            failures.append(f"seed {seed}: {results}")
    lab.close()


def test_results_do_not_change_when_everything_is_preempted_all_the_time(native: bool) -> None:
    failures: list[str] = []
    work_hard(native, 1, 10, failures)
    assert failures == []


def test_vms_on_several_threads_do_not_disturb_each_other(native: bool) -> None:
    failures: list[str] = []
    threads = [threading.Thread(target=work_hard, args=(native, seed, 4, failures)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


HOGS = {
    "table": "local t = {} while true do t[#t + 1] = { #t } end",
    "strings": "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "caught": "local t = {} while true do pcall(function() while true do t[#t + 1] = { #t } end end) end",
    "in small steps": "local t = {} while true do for _ = 1, 2000 do t[#t + 1] = { #t } end lab.sleep(0) end",
    "one string": "local s = 'x' while true do s = s .. s end",
}


@pytest.mark.parametrize("hog", HOGS.values(), ids=HOGS)
def test_who_takes_too_much_memory_ends_alone(native: bool, hog: str) -> None:
    lab = Lab(native, memory_limit=24 << 20)
    neighbours = [
        lab.start("return function() local t = {} for i = 1, 100 do t[i] = i lab.sleep(0.001) end return #t end")
        for _ in range(3)
    ]
    greedy = lab.start(f"return function() {hog} end")
    (error,) = lab.run(greedy)
    assert isinstance(error, Error)
    assert "memory" in error.message
    assert lab.run(*neighbours) == [100] * 3
    lab.one("return function() local t = {} for i = 1, 100000 do t[i] = { i } t[i - 1] = nil end return 1 end")
    assert lab.vm.memory() < 32 << 20
    lab.close()


@pytest.mark.parametrize(
    "call",
    [
        "string.rep('x', 1e10)",
        "('x'):rep(1 << 40)",
        "table.concat(setmetatable({}, { __len = function() return 1 << 50 end }))",
        "table.concat(setmetatable({}, { __len = function() return 1 << 50 end, __index = function() return 'xxxx' end }))",
        "table.unpack(setmetatable({}, { __len = function() return 1 << 50 end }))",
        "table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1, 1)",
        "table.remove(setmetatable({}, { __len = function() return 1 << 50 end }), 1)",
        "table.sort(setmetatable({}, { __len = function() return 1 << 50 end }))",
        "table.move({}, 1, 1 << 50, 2)",
        "table.insert((function() local t = {} for i = 0, 62 do t[1 << i] = 1 end return t end)(), 1, 1)",
        "('x'):rep(1000000):gsub('.', ('x'):rep(1000))",
    ],
)
def test_no_call_of_the_library_runs_for_ever(lab: Lab, call: str) -> None:
    # A border of a table with holes may be any of them, so the one call that has some may also succeed.
    source = f"return function() local ok, e = pcall(function() return {call} end) return ok or tostring(e) end"
    result = lab.one(source)
    assert isinstance(result, str) or "1 << i" in call


def test_sorting_is_that_of_lua(lab: Lab) -> None:
    source = """
    return function(n, seed)
      local by_function, by_value, plain = {}, {}, {}
      for i = 1, n do
        local x = i * seed % 1009
        by_function[i], by_value[i], plain[i] = { x, i }, setmetatable({ x }, { __lt = function(a, b) return a[1] < b[1] end }), x
      end
      table.sort(plain)
      table.sort(by_function, function(a, b) return a[1] < b[1] end)
      table.sort(by_value)
      for i = 1, n do
        if by_function[i][1] ~= plain[i] or by_value[i][1] ~= plain[i] then return i end
      end
      return "sorted"
    end
    """
    assert [lab.one(source, n, 7919) for n in (0, 1, 2, 3, 10, 101, 1000, 60_000)] == ["sorted"] * 8
    assert "invalid order function" in lab.one(
        "return function() local t = {} for i = 1, 200 do t[i] = i end "
        "return select(2, pcall(table.sort, t, function() return true end)) end"
    )
