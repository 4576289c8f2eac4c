"""A node whose workers take turns in one thread, in an order that a seed decides: for tests of the scheduler.

What threads leave to chance is drawn here: which worker runs next and for how long, in which order it runs its tasks, and
when a signal arrives. What threads guarantee holds here too: signals between a pair of workers arrive in the order they
were sent, and no signal overtakes a change of a name that its sender saw.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from wippy.sandbox.codec import pack
from wippy.sandbox.vm import Vm
from wippy.scheduler.commands import Commands
from wippy.scheduler.node import CodeSource, Node, NodeSettings
from wippy.scheduler.worker import InlineWorker, Worker, step

__all__ = ["SimulatedNode", "SimulatedWorker"]

#: Most switches of a slice, one of which is drawn for every slice.
SLICES = (1, 1, 2, 3, 5, 8, 1_000)

#: The sender of what does not come from a worker.
PYTHON = -1
#: Where changes of names come from.
NAMES = -2

#: Most steps in one turn of the event loop: between turns Python runs.
STEPS = 6

Lines = Callable[[], bytes]


class SimulatedWorker(InlineWorker):
    """A VM that runs when the node's turn comes to it."""

    def __init__(self, node: SimulatedNode, index: int, vm: Vm) -> None:
        super().__init__(index, vm, node.clock, node._drain, node._lightest, node._expect_idle)
        self._node = node
        #: Whether the VM wants a slice.
        self.runnable = False
        #: What is on its way here, by sender: (changes of names that the sender saw, entry point, arguments).
        self.inbound: dict[int, deque[tuple[int, str, tuple[Any, ...]]]] = {}
        #: Changes of names that are on their way here, and how many arrived.
        self.names: deque[bytes] = deque()
        self.names_seen = node.names_changed
        self.lines: Lines | None = None

    def tell(self, entry: str, *args: Any) -> None:
        self.inbound.setdefault(self._node.sender, deque()).append((self._node.names_changed, entry, args))
        self._node.plan()

    def wake(self) -> None:
        self._node.wake_all()

    def deliver(self, sender: int) -> None:
        """Hand over the oldest of what a sender sent, after the changes of names that go before it."""
        names_seen, entry, args = self.inbound[sender].popleft()
        if not self.inbound[sender]:
            del self.inbound[sender]
        while self.names_seen < names_seen:
            self.deliver_name()
        getattr(self.vm, entry)(*args)
        self.runnable = True

    def deliver_name(self) -> None:
        """Hand over the oldest change of a name."""
        self.names_seen += 1
        self.vm.signal(self.names.popleft())
        self.runnable = True

    def run_slice(self, switches: int) -> Sequence[Any]:
        """Run one slice; returns the outbox."""
        more, deadline, load, *outbox = step(self, self._clock.now(), switches, 0, self._lightest())
        self.load, self.deadline, self.runnable = load, deadline, more
        return outbox


class SimulatedNode(Node):
    """A node of `workers` simulated workers beside the first; needs a virtual clock and a seed.

    `chunks` are Lua chunks (name: source) that every VM loads first.
    `trace` gets a line of text for every event of the scheduler (scheduler/lua/trace.lua says which).
    """

    def __init__(
        self,
        settings: NodeSettings,
        commands: Commands,
        code_source: CodeSource,
        *,
        workers: int,
        chunks: Mapping[str, str],
        trace: list[str] | None = None,
    ) -> None:
        super().__init__(settings, commands, code_source)
        self._count = workers
        self._chunks = chunks
        self._trace = trace
        self._random = random.Random(settings.seed)
        self._planned = False
        self._stopped = False
        #: Who sends what is told just now.
        self.sender = PYTHON
        #: How many names were taken or released so far.
        self.names_changed = 0

    # Workers --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await super().start()
        for index in range(1, self._count + 1):
            self._shared.append(self.add_worker(index))

    async def stop(self) -> None:
        self._stopped = True
        await super().stop()

    def ensure_threads(self, count: int) -> list[int]:
        """Return the indexes of the simulated workers, however many are asked for."""
        return [worker.index for worker in self._shared] or [0]

    def _new_worker(self, index: int, vm: Vm) -> Worker:
        worker = SimulatedWorker(self, index, vm)
        seed = f"local kernel = ... kernel.exploration_seed = {self._random.randrange(1 << 31)}"
        vm.extend("exploration seed", seed.encode())
        vm.extend("exploration", _source("exploration.lua"))
        for name, source in self._chunks.items():
            vm.extend(name, source.encode())
        if self._trace is not None:
            worker.lines = vm.extend("trace", _source("trace.lua"))
        return worker

    @property
    def workers(self) -> list[SimulatedWorker]:
        """All workers, the first one included."""
        return [worker for worker in self._workers.values() if isinstance(worker, SimulatedWorker)]

    def wake_all(self) -> None:
        """Let every worker look for work: time went on, or somebody worked on a VM directly."""
        for worker in self.workers:
            worker.runnable = True
        self.plan()

    # What crosses ---------------------------------------------------------------------------------------------------

    def _drain(self, worker: Worker, outbox: Sequence[Any]) -> None:
        self.sender = worker.index
        try:
            super()._drain(worker, outbox)
        finally:
            self.sender = PYTHON

    def _route(self, target: int, data: bytes) -> None:
        sender = self.sender
        if target not in self._workers:
            self.sender = PYTHON  # what Python says to this is said by Python
        super()._route(target, data)
        self.sender = sender

    def _announce_name(self, name: str, pid: str | None) -> None:
        data = pack(["name", name, pid])
        self.names_changed += 1
        for worker in self.workers:
            worker.names.append(data)
        self.plan()

    # Turns ----------------------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Have a turn of the event loop, if none is planned. The first worker counts as busy until all is done."""
        if not self._planned:
            self._planned = True
            self.workers[0].busy = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._planned = False
        if self._stopped:
            return
        for _ in range(self._random.randint(1, STEPS)):
            choices = self._choices()
            if not choices:
                break
            worker, sender = self._random.choice(choices)
            if sender is None:
                self._run(worker)
            elif sender == NAMES:
                worker.deliver_name()
            else:
                worker.deliver(sender)
        if self._choices():
            self.plan()
        elif not self._planned:
            first = self.workers[0]
            first.busy = False
            first.deadline = min((w.deadline for w in self.workers if w.deadline is not None), default=None)
            self._expect_idle()

    def _choices(self) -> list[tuple[SimulatedWorker, int | None]]:
        """Return what can happen next: a worker with a sender whose signal arrives, or None to run a slice."""
        choices: list[tuple[SimulatedWorker, int | None]] = []
        for worker in self.workers:
            if worker.runnable:
                choices.append((worker, None))
            if worker.names:
                choices.append((worker, NAMES))
            choices.extend((worker, sender) for sender in worker.inbound)
        return choices

    def _run(self, worker: SimulatedWorker) -> None:
        outbox = worker.run_slice(self._random.choice(SLICES))
        if worker.lines is not None and self._trace is not None:
            lines = worker.lines().decode(errors="replace").splitlines()
            self._trace.extend(f"{worker.index} {line}" for line in lines)
        if outbox:
            self._drain(worker, outbox)


def _source(name: str) -> bytes:
    return (resources.files("wippy.scheduler") / "lua" / name).read_bytes()
