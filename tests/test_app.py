"""Applications from outside: boot from disk, embedding, live changes, history, shutdown."""

from __future__ import annotations

import asyncio

import pytest

from wippy.app import App
from wippy.errors import Error
from wippy.registry.change import Op, Operation
from wippy.testing import app_at, app_of, function, library, process, write_app

INDEX = """
version: "1.0"
namespace: app
meta: {team: core}
entries:
  - name: greet
    kind: function.lua
    meta: {type: greeting}
    source: file://lua/greet.lua
    method: greet
    imports: {words: words}
  - name: words
    kind: library.lua
    source: file://lua/words.lua
  - name: processes
    kind: process.host
    lifecycle: {auto_start: true}
  - name: counter
    kind: process.lua
    source: file://lua/counter.lua
    method: main
  - name: counter.service
    kind: process.service
    process: counter
    host: processes
    input: [10]
    lifecycle: {auto_start: true}
"""
FILES = {
    "_index.yaml": INDEX,
    "lua/greet.lua": """
local words = require("words")
local function greet(name)
  return words.hello .. name
end
return {greet = greet}
""",
    "lua/words.lua": 'return {hello = "Hello, "}\n',
    "lua/counter.lua": """
return function(start)
  process.registry.register("counter")
  local count = start
  while true do
    local r = channel.select {process.inbox():case_receive(), process.events():case_receive()}
    if r.channel == process.events() then return count end
    count = count + 1
    process.send(r.value:from(), "count", count)
  end
end
""",
    "api/_index.yaml": """
namespace: app.api
entries:
  - name: count
    kind: function.lua
    method: count
    source: |
      return function()
        local counts = process.listen("count")
        assert(process.send("counter", "add"))
        return counts:receive()
      end
""",
}


async def test_an_app_on_disk(tmp_path):
    async with app_at(tmp_path, FILES) as app:
        assert await app.call("app:greet", "Ann") == "Hello, Ann"
        assert await app.call("app.api:count") == 11
        assert await app.call("app.api:count") == 12
        assert app.registry.get("app:greet").meta == {"type": "greeting", "team": "core"}
        assert [e.id for e in app.registry.find({"meta.type": "greeting"})] == ["app:greet"]
        assert app.supervisor.states()["app:counter.service"]["state"] == "running"
        assert app.warnings == []


async def test_it_runs_with_real_time_and_threads_inside_a_running_loop(tmp_path):
    write_app(tmp_path, FILES)
    async with App(tmp_path) as app:
        assert await app.call("app.api:count") == 11
        pid = await app.spawn("app:counter", "app:processes", 0, name="another")
        with pytest.raises(Error):
            await app.spawn("app:counter", "app:processes", 0, name="another")
        await app.cancel(pid)


async def test_an_app_may_start_again_after_it_stopped(tmp_path):
    for _ in range(2):
        async with app_at(tmp_path, FILES) as app:
            assert await app.call("app.api:count") == 11


async def test_an_app_runs_under_anyio(tmp_path):
    anyio = pytest.importorskip("anyio")
    write_app(tmp_path, FILES)
    async with App(tmp_path) as app, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(app.call, "app:greet", "Bo")


async def test_a_live_change_loses_no_call():
    def version(n):
        source = f'local time = require("time") return function() time.sleep("10ms") return {n} end'
        return function("app:v", source, ["time"])

    async with app_of(version(1)) as app:
        calls = []
        for n in range(2, 12):
            calls += [asyncio.ensure_future(app.call("app:v")) for _ in range(5)]
            await asyncio.sleep(0)
            before = app.registry.get("app:v")
            await app.registry.apply([Operation(Op.UPDATE, version(n), before)])
            assert await app.call("app:v") == n
        results = await asyncio.gather(*calls)
    assert results == sorted(results)
    assert set(results) <= set(range(1, 12))


async def test_a_changed_library_reaches_those_who_import_it():
    def words(text):
        return library("app:words", f'return {{text = "{text}"}}')

    source = 'local words = require("words") return function() return words.text end'
    user = function("app:user", source, imports={"words": "app:words"})
    async with app_of(words("old"), user) as app:
        assert await app.call("app:user") == "old"
        await app.registry.apply([Operation(Op.UPDATE, words("new"), app.registry.get("app:words"))])
        assert await app.call("app:user") == "new"
        await app.registry.apply_version(1)
        assert await app.call("app:user") == "old"


async def test_a_rejected_change_changes_nothing():
    good = function("app:good", "return function() return 1 end")
    bad = function("app:bad", "return function( end")
    async with app_of() as app:
        with pytest.raises(Error, match="app:bad:1:"):
            await app.registry.apply([Operation(Op.CREATE, good), Operation(Op.CREATE, bad)])
        assert app.registry.lookup("app:good") is None
        assert app.registry.current == 1 or app.registry.current == 0
        with pytest.raises(Error, match="app:good"):
            await app.call("app:good")


async def test_run_time_entries_survive_a_restart_when_history_is_kept(tmp_path):
    files = {**FILES, ".wippy.yaml": "registry:\n  history_type: sqlite\n"}
    made = function("app:made", "return function() return 'made at run time' end")
    async with app_at(tmp_path, files) as app:
        await app.registry.apply([Operation(Op.CREATE, made)])
        gone = app.registry.get("app.api:count")
        await app.registry.apply([Operation(Op.DELETE, gone, gone)])
        versions = len(app.registry.versions())
    async with app_at(tmp_path, files) as app:
        assert await app.call("app:made") == "made at run time"
        assert app.registry.lookup("app.api:count") is None
        assert len(app.registry.versions()) == versions
    files["lua/words.lua"] = 'return {hello = "Hi, "}'
    async with app_at(tmp_path, files) as app:
        assert await app.call("app:greet", "Ann") == "Hi, Ann"
        assert await app.call("app:made") == "made at run time"


async def test_shutdown_cancels_processes_and_waits_for_them():
    said = []
    polite = process(
        "app:polite",
        """
        local time = require("time")
        return function()
          process.events():receive()
          time.sleep("2s")
          funcs.call("app:note", "done")
        end
        """,
        ["time"],
    )
    from wippy.registry.entry import Entry

    entries = [
        polite,
        function("app:note", "return function(text) print(text) end"),
        Entry("app:processes", "process.host", data={"lifecycle": {"auto_start": True}}),
    ]
    import logging

    class Listener(logging.Handler):
        def emit(self, record):
            said.append(record.getMessage())

    handler = Listener()
    log = logging.getLogger("wippy")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        async with app_of(*entries) as app:
            await app.spawn("app:polite", "app:processes")
    finally:
        log.removeHandler(handler)
    assert "done" in said


async def test_the_same_seed_gives_the_same_run():
    chatter = process(
        "app:chatter",
        """
        local time = require("time")
        return function(to, name)
          for i = 1, 20 do
            time.sleep(math.random(1, 50) .. "ms")
            process.send(to, "said", name .. i)
          end
        end
        """,
        ["time"],
    )
    listener = process(
        "app:listener",
        """
        return function()
          local said, heard = process.listen("said"), {}
          for i = 1, 5 do process.spawn("app:chatter", "app:processes", process.pid(), "p" .. i .. ".") end
          for i = 1, 100 do heard[i] = said:receive() end
          return heard
        end
        """,
    )
    from wippy.testing import host

    async def run(seed):
        async with app_of(host(), chatter, listener, seed=seed) as app:
            _, end = await app.node.spawn_watched("app:listener", "app:processes")
            return (await end).value

    assert await run(1) == await run(1)
    assert await run(1) != await run(2)


async def test_a_function_that_computes_long_leaves_the_event_loop():
    from wippy.testing import host

    heavy = function(
        "app:heavy",
        """
        return function(n)
          local x = 0
          for i = 1, n do x = x + i % 7 end
          return process.pid()
        end
        """,
    )
    caller = function("app:caller", 'return function(n) return funcs.call("app:heavy", n) end')
    async with app_of(host(workers=1), heavy, caller, virtual=False) as app:
        while app.node.locate(await app.call("app:heavy", 5_000_000)) == 0:
            pass
        assert app.node.locate(await app.call("app:caller", 10)) == 1
        task = asyncio.ensure_future(app.call("app:heavy", 10**12))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert app.node.locate(await app.call("app:heavy", 10)) == 1
