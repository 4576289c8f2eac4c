"""Supervision (manual page guides/supervision): order, restarts with backoff, shutdown."""

from __future__ import annotations

import asyncio
import random

import pytest

from wippy.errors import INTERNAL, Error
from wippy.kind import Duration, Ref
from wippy.scheduler.clock import VirtualClock
from wippy.supervisor import Lifecycle, Restart, Supervisor


class Fake:
    """A service that writes down what happens to it; `fails` are the errors of its next starts."""

    def __init__(self, name: str, log: list[str], fails: int = 0) -> None:
        self.name = name
        self.log = log
        self.fails = fails
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        self.log.append(f"start {self.name}")
        if self.fails:
            self.fails -= 1
            raise Error(f"{self.name} cannot start", INTERNAL, retryable=True)
        self.end = asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        self.log.append(f"stop {self.name}")

    async def ended(self) -> None:
        await self.end


class Clocked:
    """Supervisor on a virtual clock that the test turns."""

    def __init__(self, needs: dict[str, list[str]] | None = None) -> None:
        self.clock = VirtualClock()
        self.supervisor = Supervisor(self.clock, random.Random(1), lambda i: (needs or {}).get(i, ()))

    async def pass_time(self, seconds: float) -> None:
        target = self.clock.now() + seconds
        while True:
            await settle()
            deadline = self.clock.next_deadline()
            if deadline is None or deadline > target:
                break
            self.clock.advance_to(deadline)
        self.clock.advance_to(target)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def lifecycle(**fields) -> Lifecycle:
    return Lifecycle(auto_start=True, **fields)


async def test_dependencies_start_first_and_stop_last():
    world = Clocked({"app:http": ["app:router"], "app:router": ["app:handler"], "app:handler": ["app:db"]})
    log: list[str] = []
    await world.supervisor.add("app:http", Fake("http", log), lifecycle())
    await world.supervisor.add("app:worker", Fake("worker", log), lifecycle(requires=[Ref("app:http")]))
    await world.supervisor.add("app:db", Fake("db", log), lifecycle())
    await world.supervisor.start_all()
    assert log == ["start db", "start http", "start worker"]
    log.clear()
    await world.supervisor.stop_all()
    assert log == ["stop worker", "stop http", "stop db"]
    assert {s["state"] for s in world.supervisor.states().values()} == {"stopped"}


async def test_a_needed_service_starts_even_without_auto_start():
    world = Clocked({"app:a": ["app:b"]})
    log: list[str] = []
    await world.supervisor.add("app:a", Fake("a", log), lifecycle())
    await world.supervisor.add("app:b", Fake("b", log), Lifecycle())
    await world.supervisor.add("app:c", Fake("c", log), Lifecycle())
    await world.supervisor.start_all()
    assert log == ["start b", "start a"]
    await world.supervisor.stop_all()


async def test_a_circle_of_needs_starts_all_the_same():
    world = Clocked({"app:a": ["app:b"], "app:b": ["app:c"], "app:c": ["app:a"]})
    log: list[str] = []
    for name in "abc":
        await world.supervisor.add(f"app:{name}", Fake(name, log), lifecycle())
    await asyncio.wait_for(world.supervisor.start_all(), 5)
    assert sorted(log) == ["start a", "start b", "start c"]
    await asyncio.wait_for(world.supervisor.stop_all(), 5)


async def test_a_failed_service_is_started_again_with_growing_delays():
    world = Clocked()
    log: list[str] = []
    service = Fake("s", log)
    policy = Restart(initial_delay=Duration(1), jitter=0, max_delay=Duration(3))
    await world.supervisor.add("app:s", service, lifecycle(restart=policy))
    await world.supervisor.start_all()
    service.fails = 3
    service.end.set_exception(Error("crashed", INTERNAL))
    await world.pass_time(0.5)
    assert log == ["start s"]
    await world.pass_time(0.6)  # 1 s
    assert len(log) == 2
    await world.pass_time(1.5)
    assert len(log) == 2
    await world.pass_time(0.6)  # + 2 s
    assert len(log) == 3
    await world.pass_time(3)  # + 3 s, capped
    assert len(log) == 4
    await world.pass_time(3)
    assert world.supervisor.states()["app:s"]["state"] == "running"
    await world.supervisor.stop_all()


async def test_max_attempts_ends_in_exited():
    world = Clocked()
    service = Fake("s", [])
    await world.supervisor.add("app:s", service, lifecycle(restart=Restart(max_attempts=2, jitter=0)))
    await world.supervisor.start_all()
    service.fails = 10
    service.end.set_exception(Error("crashed", INTERNAL))
    await world.pass_time(1000)
    assert world.supervisor.states()["app:s"]["state"] == "exited"
    assert service.log.count("start s") == 3
    await world.supervisor.stop_all()


async def test_running_for_long_enough_forgets_the_attempts():
    world = Clocked()
    service = Fake("s", [])
    await world.supervisor.add("app:s", service, lifecycle(restart=Restart(jitter=0, max_attempts=1)))
    await world.supervisor.start_all()
    for _ in range(4):
        await world.pass_time(6)
        service.end.set_exception(Error("crashed", INTERNAL))
        await world.pass_time(1.5)
        assert world.supervisor.states()["app:s"]["state"] == "running"
    await world.supervisor.stop_all()


@pytest.mark.parametrize("problem", [Error("bad", INTERNAL, retryable=False), Error("asked to", "Canceled")])
async def test_terminal_errors_are_not_retried(problem):
    world = Clocked()
    service = Fake("s", [])
    await world.supervisor.add("app:s", service, lifecycle())
    await world.supervisor.start_all()
    service.end.set_exception(problem)
    await world.pass_time(1000)
    assert world.supervisor.states()["app:s"]["state"] == "exited"
    assert service.log == ["start s"]
    await world.supervisor.stop_all()


async def test_a_required_service_that_cannot_start_stops_the_boot_and_an_optional_one_does_not():
    world = Clocked()
    await world.supervisor.add("app:s", Fake("s", [], fails=99), lifecycle())
    with pytest.raises(Error, match="s cannot start"):
        await world.supervisor.start_all()
    await world.supervisor.stop_all()
    world = Clocked()
    service = Fake("s", [], fails=1)
    await world.supervisor.add("app:s", service, lifecycle(startup="optional"))
    await world.supervisor.start_all()
    await world.pass_time(2)
    assert world.supervisor.states()["app:s"]["state"] == "running"
    await world.supervisor.stop_all()


async def test_start_timeout():
    class Sleeper(Fake):
        async def start(self) -> None:
            await asyncio.get_running_loop().create_future()

    world = Clocked()
    await world.supervisor.add("app:s", Sleeper("s", []), lifecycle(start_timeout=Duration(3)))
    starting = asyncio.ensure_future(world.supervisor.start_all())
    await world.pass_time(4)
    with pytest.raises(Error, match="did not start within 3 s"):
        await starting
    await world.supervisor.stop_all()


async def test_stop_timeout_cancels_the_stop():
    class Stubborn(Fake):
        async def stop(self) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.log.append("cut off")

    world = Clocked()
    log: list[str] = []
    await world.supervisor.add("app:s", Stubborn("s", log), lifecycle(stop_timeout=Duration(2)))
    await world.supervisor.start_all()
    stopping = asyncio.ensure_future(world.supervisor.stop_all())
    await world.pass_time(3)
    await asyncio.wait_for(stopping, 5)
    assert log == ["start s", "cut off"]


def test_jitter_stays_within_its_share():
    source = random.Random(7)
    delays = [Restart(jitter=0.1).delay(3, source) for _ in range(200)]
    assert all(3.6 <= d <= 4.4 for d in delays)
    assert max(delays) - min(delays) > 0.3
    assert Restart().delay(500, source) <= 99
