"""The kind queue.consumer: handlers, settlement, redelivery, stopping (manual page guides/queue-consumers; reference, row
"queue", decision 4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from wippy.app import App
from wippy.errors import INVALID, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.testing import app_of, function
from wippy_plugin_queue import Message, Queue
from wippy_plugin_queue.settlement import retry_delay

DRIVER = Entry("app:driver", "queue.driver.memory")
HEAD = 'local queue, time = require("queue"), require("time")\n'


class Scene:
    """A running App: publish bodies, and see what the handler reports with `report(...)`."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.reports: asyncio.Queue[Any] = asyncio.Queue()
        self.pid = app.node.open_mailbox("tests", lambda _source, _topic, values: self.reports.put_nowait([*values]))

    async def publish(self, headers: dict[str, Any] | None = None, **body: Any) -> str:
        return await self.queue.publish({"to": self.pid, **body}, headers)

    async def report(self) -> Any:
        return await self.reports.get()

    async def counts(self) -> dict[str, int]:
        return await self.queue.info()

    @property
    def queue(self) -> Queue:
        return self.app.resources.get("app:tasks", Queue)

    async def settled(self) -> None:
        """Wait until nothing is left in the queue."""
        while (await self.counts())["message_count"]:
            await asyncio.sleep(0)


def handler(body: str, name: str = "app:handler", **data: Any) -> Entry:
    source = f"""{HEAD}
        return {{ main = function(body)
          local function report(...) process.send(body.to, "report", ...) end
          {body}
        end }}"""
    return function(name, source, ["queue", "time", "ctx"], **data)


def consumer(**data: Any) -> Entry:
    lifecycle = {"auto_start": True, **data.pop("lifecycle", {})}
    data = {"queue": "tasks", "func": "handler", "lifecycle": lifecycle, **data}
    return Entry("app:consumer", "queue.consumer", data=data)


def tasks(**data: Any) -> Entry:
    return Entry("app:tasks", "queue.queue", data={"driver": "driver", **data})


@asynccontextmanager
async def scene(body: str, *more: Entry, declared: Entry | None = None, **data: Any) -> AsyncIterator[Scene]:
    async with app_of(DRIVER, declared or tasks(), handler(body), consumer(**data), *more) as app:
        yield Scene(app)


async def test_the_handler_gets_the_body_and_the_message() -> None:
    async with scene("""
        local m = queue.message()
        report(body.n, m:id(), m:header("a"), m:header("b") == nil, m:headers())
    """) as s:
        message_id = await s.publish({"a": {"deep": [1]}}, n=7)
        assert await s.report() == [7, message_id, {"deep": [1]}, True, {"a": {"deep": [1]}}]


async def test_headers_are_a_table_even_if_there_are_none_and_the_programs_own() -> None:
    async with scene("""
        local m = queue.message()
        m:headers().x = 1
        report(m:header("x") == nil, next(m:headers()) == nil, type(m))
    """) as s:
        await s.publish()
        assert await s.report() == [True, True, "userdata"]


async def test_what_a_handler_calls_sees_the_message_and_what_it_spawns_does_not_show_it_in_ctx() -> None:
    helper = handler("report(queue.message():id(), next(require('ctx').all()) == nil)", "app:helper")
    async with scene("funcs.call('app:helper', body)", helper) as s:
        message_id = await s.publish()
        assert await s.report() == [message_id, True]


@pytest.mark.parametrize("result", ["", "return true", "return nil", "return 0", "return {ok = false}", "return 'no'"])
async def test_whatever_is_not_false_or_an_error_acknowledges(result: str) -> None:
    async with scene(f"report(1) {result}") as s:
        await s.publish()
        await s.report()
        await s.settled()
        assert s.reports.empty()


FAILURES = ["return false", "return nil, 'no'", "error('no')", "error(errors.new('NotFound', 'no'))"]


@pytest.mark.parametrize("result", FAILURES)
async def test_a_failure_brings_the_message_again(result: str) -> None:
    async with scene(f"report(queue.message():id()) {result}") as s:
        message_id = await s.publish()
        start = s.app.clock.now()
        for _ in range(3):
            assert await s.report() == [message_id]
        assert s.app.clock.now() - start == pytest.approx(0.1 + 0.2)


def test_delays_double_from_100_ms_to_30_s() -> None:
    assert [retry_delay(n) for n in (1, 2, 3, 9, 10, 1000)] == [0.1, 0.2, 0.4, 25.6, 30, 30]


async def test_a_message_that_always_fails_is_never_dropped() -> None:
    async with scene("report() error('no')") as s:
        await s.publish()
        for _ in range(40):
            await s.report()
        assert s.app.clock.now() > 30 * 28


async def test_the_first_settlement_by_hand_counts() -> None:
    async with scene("""
        local m = queue.message()
        local ok = m:ack()
        local again, err = m:nack()
        local third, problem = m:ack()
        report(ok, again == nil, err:kind(), problem:kind())
        error("after all")
    """) as s:
        await s.publish()
        assert await s.report() == [True, True, INVALID, INVALID]
        await s.settled()
        assert s.reports.empty()


async def test_nack_by_hand_wins_over_the_return_value() -> None:
    async with scene("report(queue.message():nack()) return true") as s:
        await s.publish()
        assert await s.report() == [True]
        assert await s.report() == [True]


async def test_a_message_kept_after_its_handler_is_settled() -> None:
    async with scene("""
        if kept then
          local _, err = kept:ack()
          report(err:kind())
        else
          kept = queue.message()
          report("kept")
        end
    """) as s:
        await s.publish()
        assert await s.report() == ["kept"]
        await s.settled()
        await s.publish()
        assert await s.report() == [INVALID]


async def test_a_method_needs_a_message() -> None:
    async with scene("local ok, err = pcall(queue.message().id, {}) report(ok, err)") as s:
        await s.publish()
        ok, text = await s.report()
        assert not ok
        assert "bad argument #1 to 'id' (Message expected)" in text


async def test_dead_letters_after_max_attempts_with_their_story() -> None:
    dead = Entry("app:dead", "queue.queue", data={"driver": "driver", "codec": "application/msgpack"})
    buried = handler("local m = queue.message() report('dead', body.n, m:id(), m:headers())", "app:undertaker")
    data = {"queue": "dead", "func": "undertaker", "lifecycle": {"auto_start": True}}
    grave = Entry("app:grave", "queue.consumer", data=data)
    queue = tasks(dead_letter={"queue": "dead", "max_attempts": 3})
    async with scene("report('tried') return nil, 'bad data'", dead, buried, grave, declared=queue) as s:
        message_id = await s.publish({"trace": "t"}, n=5)
        assert [await s.report() for _ in range(3)] == [["tried"]] * 3
        assert await s.report() == [
            "dead", 5, message_id,
            {"trace": "t", "x_dead_letter_queue": "app:tasks", "x_dead_letter_attempts": 3,
             "x_dead_letter_error": "bad data"},
        ]  # fmt: skip
        await s.settled()


async def test_nack_by_hand_counts_as_an_attempt() -> None:
    dead = Entry("app:dead", "queue.queue", data={"driver": "driver"})
    queue = tasks(dead_letter={"queue": "dead", "max_attempts": 1})
    async with scene("queue.message():nack() report()", dead, declared=queue) as s:
        await s.publish()
        await s.report()
        await s.settled()
        assert (await s.app.resources.get("app:dead", Queue).info())["ready"] == 1


async def test_a_body_that_cannot_be_read_is_a_failure() -> None:
    dead = Entry("app:dead", "queue.queue", data={"driver": "driver"})
    queue = tasks(dead_letter={"queue": "dead", "max_attempts": 2})
    async with scene("report()", dead, declared=queue) as s:
        await s.queue.forward(Message("x", b"{", {}, "json/plain"))
        await s.settled()
        assert (await s.app.resources.get("app:dead", Queue).info())["ready"] == 1
        assert s.reports.empty()


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_concurrency_bounds_what_runs_at_once(concurrency: int) -> None:
    async with scene("time.sleep('1s') report()", concurrency=concurrency) as s:
        for _ in range(6):
            await s.publish()
        for _ in range(6):
            await s.report()
        assert s.app.clock.now() == pytest.approx(6 / concurrency)


async def test_prefetch_leaves_the_rest_in_the_queue() -> None:
    async with scene("report() time.sleep('1s')", prefetch=2) as s:
        for _ in range(5):
            await s.publish()
        await s.report()
        assert (await s.counts())["ready"] == 3


@pytest.mark.parametrize(
    "data",
    [
        {"concurrency": 0},
        {"concurrency": 1001},
        {"prefetch": 0},
        {"prefetch": 10_001},
        {"func": "none"},
        {"queue": "none"},
    ],
)
async def test_a_consumer_that_cannot_be_stops_the_boot(data: dict[str, Any]) -> None:
    with pytest.raises(Error, match=f"app:consumer.*{next(iter(data))}") as caught:
        async with scene("return true", **data):
            pass
    assert caught.value.kind == INVALID


async def test_the_handler_runs_as_the_lifecycles_identity() -> None:
    watch = """
        local kernel = ...
        kernel.permit = function(action)
          local proc = kernel.state.proc
          if action == "queue.publish" then
            local who = proc.actor.id .. " " .. proc.actor.meta.role .. " " .. proc.scope.policies[1]
            return nil, kernel.new_error(who, "PermissionDenied", false)
          end
          return true
        end"""
    security = {"actor": {"id": "worker", "meta": {"role": "r"}}, "policies": ["app:policy"]}
    async with scene(
        "local _, err = queue.publish('app:tasks', 1) report(err:message())", lifecycle={"security": security}
    ) as s:
        s.app.node.extend("test", watch)
        await s.publish()
        assert await s.report() == ["worker r app:policy"]


async def test_changed_code_handles_the_next_message() -> None:
    async with scene("report('old')") as s:
        await s.publish()
        assert await s.report() == ["old"]
        await s.app.registry.apply([Operation(Op.UPDATE, handler("report('new')"), handler("report('old')"))])
        await s.publish()
        assert await s.report() == ["new"]


async def test_a_changed_consumer_calls_another_function() -> None:
    async with scene("report('old')", handler("report('new')", "app:other")) as s:
        await s.app.registry.apply([Operation(Op.UPDATE, consumer(func="other"), consumer())])
        await s.publish()
        assert await s.report() == ["new"]


async def test_stopping_finishes_what_is_under_way_and_gives_back_the_rest() -> None:
    async with scene("report('began', body.n) time.sleep('5s') report('done', body.n)") as s:
        for n in range(4):
            await s.publish(n=n)
        assert await s.report() == ["began", 0]
        await s.app.supervisor.stop("app:consumer")
        assert await s.report() == ["done", 0]
        assert await s.counts() == {"message_count": 3, "ready": 3, "consumer_count": 0}
        await s.app.supervisor.start("app:consumer")
        assert [(await s.report())[1] for _ in range(6)] == [1, 1, 2, 2, 3, 3]


async def test_what_is_not_finished_in_time_goes_back() -> None:
    async with scene("report(queue.message():id()) time.sleep('1h')", lifecycle={"stop_timeout": "2s"}) as s:
        message_id = await s.publish()
        await s.report()
        await s.app.supervisor.stop("app:consumer")
        assert s.app.clock.now() == pytest.approx(2)
        assert await s.counts() == {"message_count": 1, "ready": 1, "consumer_count": 0}
        await s.app.supervisor.start("app:consumer")
        assert await s.report() == [message_id]


async def test_a_publisher_waits_at_a_full_queue_and_ending_it_takes_its_message_back() -> None:
    publisher = """
        local queue = require("queue")
        return { main = function(n) for i = 1, n do assert(queue.publish("app:tasks", {n = i})) end return n end }"""
    full = tasks(driver_options={"memory": {"max_length": 2}})
    async with app_of(DRIVER, full, function("app:publish", publisher, ["queue"])) as app:
        with pytest.raises(Error) as caught:
            await app.call("app:publish", 3, timeout=5.0)
        assert caught.value.kind == "Timeout"
        assert (await app.resources.get("app:tasks", Queue).info())["message_count"] == 2


async def test_every_message_is_handled_though_consumers_come_and_go() -> None:
    flaky = "local m = queue.message() if math.random(1, 10) <= 3 then error('no') end report(body.n)"
    async with scene(flaky, concurrency=4, prefetch=8) as s:
        handled: set[int] = set()
        for n in range(60):
            await s.publish(n=n)
            if n % 20 == 10:
                await s.app.supervisor.stop("app:consumer")
                await s.app.supervisor.start("app:consumer")
        while len(handled) < 60:
            handled.update(await s.report())
        await s.settled()
        assert handled == set(range(60))
