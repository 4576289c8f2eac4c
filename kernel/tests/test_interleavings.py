"""The scheduler under many interleavings: what must hold in each, and that faults in it would be noticed.

Scenarios are Lua programs that run side by side in one application (interleavings/scenarios) and return what they
observed; the checks here judge it from outside. Faults (interleavings/faults) are planted into the kernel of every VM.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from wippy.testing import explore, function, host, process

HERE = Path(__file__).parent / "interleavings"
SEEDS = range(100)
#: Seeds that are tried until a fault shows.
FAULT_SEEDS = range(20)
#: Virtual seconds after which a scenario is stuck.
STUCK = 600

DOUBLE = """
local time = require("time")
return function(n)
  time.sleep(math.random(0, 5) .. "ms")
  return n * 2
end
"""

#: Tells what is left in a VM: its processes, names and the pids it believes alive or crowded elsewhere.
PROBE = """
local kernel = ...
local function keys(t)
  local list = {}
  for key in pairs(t) do list[#list + 1] = tostring(key) end
  table.sort(list)
  return table.concat(list, " ")
end
return kernel.process_count() .. ";" .. keys(kernel.names) .. ";" .. keys(kernel.alive_elsewhere) .. ";"
  .. keys(kernel.crowded)
"""


def check_sequences(heard, senders, messages):
    """Every sender's messages were heard once each, in order."""
    numbers = defaultdict(list)
    for source, _topic, number in heard:
        numbers[source].append(number)
    assert len(numbers) == senders
    for got in numbers.values():
        assert got == list(range(1, messages + 1))


def check_order(heard):
    check_sequences(heard, 4, 12)


def check_upgrade(heard):
    check_sequences(heard, 3, 10)


def check_requests(answers):
    expected = [[2 * (client * 100 + n) for n in range(1, 6)] for client in range(1, 5)]
    assert sorted(answers) == expected


def check_monitors(lines):
    ends = {"returns": "value", "later": "value", "waits": "process terminated"}
    assert len(lines) == 12
    for way, watched, told in lines:
        if not watched:
            assert told == []
        elif way == "fails":
            assert len(told) == 1
            assert "failure" in told[0]
        else:
            assert told == [ends[way]], way


def check_links(result):
    saw, ended, left = result
    assert len(saw) == 8
    for way, linked, told in saw:
        assert told == (1 if linked and way.startswith("fails") else 0), (way, linked)
    assert ended == ["linked process failed"] * 2
    assert left == [False, True] * 2


def check_names(result):
    held, *rest = result
    assert len(held) == 4
    assert all(isinstance(times, list) for times in held), held
    held.sort()
    for (_, end), (start, _) in pairwise(held):
        assert end <= start
    assert rest == [True] * 4


def check_timers(result):
    woken, values = result
    assert len(woken) == 6
    assert [wanted for wanted, _ in woken] == sorted(wanted for wanted, _ in woken)
    for wanted, got in woken:
        assert wanted - 1e-6 <= got <= wanted + 1e-3
    assert values == [1] * 4


def check_channels(result):
    received, sent, drained, accepted, refused = result
    assert sent == 24
    assert sorted(received) == [i * 100 + n for i in (1, 2, 3) for n in range(1, 9)]
    for producer in (1, 2, 3):
        got = [n for n in received if n // 100 == producer]
        assert got == sorted(got)
    assert accepted + refused == 4
    assert drained == accepted


def check_futures(result):
    calls, last = result
    for number, canceled, outcome in calls:
        assert outcome == ("Canceled" if canceled else number * 2)
    assert last == 100


def check_places(result):
    started, room = result
    assert started > 0
    assert room == 3


def check_goners(kinds):
    assert kinds == ["NotFound"] * 6


CHECKS = {
    "order": check_order,
    "requests": check_requests,
    "monitors": check_monitors,
    "links": check_links,
    "names": check_names,
    "timers": check_timers,
    "upgrade": check_upgrade,
    "channels": check_channels,
    "futures": check_futures,
    "places": check_places,
    "goners": check_goners,
}


def read(kind, name):
    return (HERE / kind / f"{name}.lua").read_text()


def entries(names):
    return [
        host(),
        host("app:small", max_processes=3),
        function("app:double", DOUBLE, ["time"], pool={"max_size": 2}),
        process("app:fresh", 'require("time").sleep("1ms") return function() end', ["time"]),
        *(process(f"app:{name}", read("scenarios", name), ["time"]) for name in names),
    ]


async def settled(app, ends):
    """Return how processes ended; None for those that are stuck."""
    stuck = asyncio.Event()
    timer = app.clock.call_later(STUCK, stuck.set)
    everything, patience = asyncio.gather(*ends), asyncio.ensure_future(stuck.wait())
    await asyncio.wait([everything, patience], return_when=asyncio.FIRST_COMPLETED)
    timer.cancel()
    patience.cancel()
    outcomes = [end.result() if end.done() else None for end in ends]
    if not everything.done():
        everything.cancel()
    return outcomes


def check_leftovers(app):
    """Nothing is left of processes that ended, on any worker."""
    assert app.node.names.all() == {}
    assert app.node._places._taken.get("app:small", 0) == 0
    for worker in app.node.workers:
        assert worker.vm.extend("probe", PROBE.encode()) == b"0;;;"


async def run(seed, names=tuple(CHECKS), fault=None, trace=None):
    """Run scenarios under one interleaving; returns what is wrong: {scenario: why}, and "leftovers"."""
    chunks = {"faults": read("faults", fault)} if fault else {}
    problems = {}
    async with explore(seed, *entries(names), chunks=chunks, mailbox_limit=16, trace=trace) as app:
        for worker in app.node.workers:
            worker.vm.extend("arm", b"(...).armed = true")
        started = [await app.node.spawn_watched(f"app:{name}", "app:processes", "main") for name in names]
        outcomes = await settled(app, [end for _, end in started])
        for worker in app.node.workers:
            worker.vm.extend("disarm", b"(...).armed = false")
        for name, outcome in zip(names, outcomes, strict=True):
            try:
                assert outcome is not None, "stuck"
                assert outcome.error is None, str(outcome.error)
                CHECKS[name](outcome.value)
            except (AssertionError, TypeError, ValueError) as problem:
                problems[name] = problem
        try:
            check_leftovers(app)
        except AssertionError as problem:
            problems["leftovers"] = problem
    return problems


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_holds_in_every_interleaving(seed):
    assert await run(seed) == {}


@pytest.mark.parametrize(
    ("fault", "noticed_by"),
    [
        ("lost_wakeup", "requests"),
        ("lost_wakeup", "channels"),
        ("reordered_message", "order"),
        ("dropped_when_full", "order"),
        ("dropped_monitor", "monitors"),
        ("dropped_link", "links"),
        ("lost_name", "names"),
        ("early_timer", "timers"),
        ("double_timer", "timers"),
        ("forgetful_upgrade", "upgrade"),
        ("deaf_close", "channels"),
        ("lost_instance", "futures"),
        ("lost_place", "places"),
        ("unheard_end", "goners"),
        ("lost_signal", "monitors"),
    ],
)
async def test_a_planted_fault_is_noticed(fault, noticed_by):
    for seed in FAULT_SEEDS:
        if noticed_by in await run(seed, (noticed_by,), fault):
            return
    pytest.fail(f"{noticed_by} holds in {len(FAULT_SEEDS)} interleavings with the fault {fault}")


async def test_the_same_seed_gives_the_same_trace():
    async def trace(seed):
        lines = []
        await run(seed, trace=lines)
        return lines

    first = await trace(7)
    events = {line.split()[1] for line in first}
    assert events >= {"run", "spawn", "send", "deliver", "exit", "event", "monitor", "link", "timer", "fire"}
    assert first == await trace(7)
    assert first != await trace(8)
