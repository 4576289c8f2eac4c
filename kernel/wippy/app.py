"""An application: boot, run, shut down, and the API to use one from Python.

async with App("path/to/app") as app:
    value = await app.call("app:function", 1)
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

from wippy.code import CodeStore, module_record
from wippy.config import Config
from wippy.errors import NOT_FOUND, Error
from wippy.kinds import Environment, Kinds
from wippy.plugin import Plugins
from wippy.registry.change import Operation
from wippy.registry.entry import Entry
from wippy.registry.history import History
from wippy.registry.link import load_application
from wippy.registry.registry import Registry
from wippy.registry.settings import open_history
from wippy.resources import Resources
from wippy.scheduler.calls import FunctionCall, Interceptor, chain
from wippy.scheduler.clock import Clock, RealClock, VirtualClock
from wippy.scheduler.commands import Commands
from wippy.scheduler.node import Exit, Node, NodeSettings
from wippy.supervisor import Supervisor

__all__ = ["App"]

log = logging.getLogger("wippy")


class App:
    """One application in this process, used from one event loop.

    `directory` is where `.wippy.yaml`, `wippy.lock` and the sources lie; None for an application made of `entries` alone.
    `overrides` are `ns:entry:field=value` texts. `clock` and `seed` are the inputs that make a run reproducible
    (wippy.testing). Attributes: `registry`, `node`, `resources`, `supervisor`, `plugins`, `config`, `warnings`.
    """

    def __init__(
        self,
        directory: str | Path | None = ".",
        *,
        config: Config | None = None,
        overrides: Sequence[str] = (),
        entries: Iterable[Entry] = (),
        clock: Clock | None = None,
        seed: int | None = None,
        plugins: Plugins | None = None,
        history: History | None = None,
    ) -> None:
        self.directory = Path(directory).resolve() if directory is not None else None
        self.plugins = plugins or Plugins()
        self.config = config or Config.load(self.directory)
        self.clock = clock or RealClock()
        self.random = random.Random(seed)
        self.warnings: list[str] = []
        self.resources = Resources()
        #: What `${env:…}` reads; see wippy.kinds.Environment.
        self.environment = Environment()
        self.kinds = Kinds(self)
        self._overrides = list(overrides)
        self._extra = list(entries)
        self._history = history
        #: What plugins wrap around calls from outside (hook `function_interceptors`), outermost first.
        self.interceptors: list[Interceptor] = []
        self._log_sinks: list[logging.Handler] = []
        #: Where measurements go; see the hook `metric_sinks`.
        self.metric_sinks: list[Any] = []
        settings = NodeSettings(
            clock=self.clock,
            seed=seed,
            mailbox_limit=int(self.config.get("process.mailbox_limit", 1_000_000)),
            memory_limit=int(self.config.get("process.memory_limit", 0)),
        )
        self.node = Node(settings, Commands(), self._code_bundle)
        self.supervisor = Supervisor(self.clock, self.random, self._references)
        self.registry: Registry
        self.code: CodeStore

    # Life -----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Boot: load entries, bring each to life, start the services.

        Raises Error with everything that is wrong and where; nothing is left running then.
        """
        entries = self._load()
        history = self._history or open_history(self.config, self.directory)
        self.registry = Registry(
            listener_of=lambda entry: self.kinds,
            needs=self.kinds.needs,
            first=self.kinds.is_foundation,
            committed=self._committed,
            history=history,
            clock=lambda: self.clock.wall() / 1e9,
        )
        await self.node.start()
        try:
            self.code = CodeStore(self, self.node.inline_vm.check)
            self._announce_modules()
            with self.clock.hold() if isinstance(self.clock, VirtualClock) else nullcontext():
                await self.registry.boot({entry.id: entry for entry in entries})
            await self.supervisor.start_all()
        except BaseException:
            await self.stop()
            raise
        self.plugins.hooks.hook.app_started(app=self)

    async def stop(self) -> None:
        """Shut down: services in reverse order of their start, then every entry, then the workers."""
        self.plugins.hooks.hook.app_stopping(app=self)
        await self.supervisor.stop_all()
        await self.registry.close()
        await self.node.stop()
        for sink in self._log_sinks:
            log.removeHandler(sink)

    def _load(self) -> list[Entry]:
        self.plugins.load_hooks()
        hooks = self.plugins.hooks.hook
        hooks.app_created(app=self)
        self.warnings.extend(self.config.warnings)
        entries = list(self._extra)
        if self.directory is not None:
            loaded = load_application(
                self.directory, plugins=self.plugins, config=self.config, overrides=self._overrides
            )
            entries.extend(loaded.entries)
            self.warnings.extend(loaded.warnings)
        for more in hooks.entries_loaded(app=self, entries=entries):
            entries.extend(more or ())
        self.interceptors = [i for group in hooks.function_interceptors(app=self) for i in group or ()]
        self._log_sinks = [sink for group in hooks.log_sinks(app=self) for sink in group or ()]
        for sink in self._log_sinks:
            log.addHandler(sink)
        self.metric_sinks = [sink for group in hooks.metric_sinks(app=self) for sink in group or ()]
        for warning in self.warnings:
            log.warning("%s", warning)
        self._need_kinds(entries)
        return entries

    def _need_kinds(self, entries: Iterable[Entry]) -> None:
        """Load the plugin of every kind that is used, so that all that is missing is said at once."""
        problems = []
        tried: set[str] = set()
        for entry in entries:
            if entry.kind not in tried:
                tried.add(entry.kind)
                try:
                    self.kinds.of(entry)
                except Error as problem:
                    problems.append(str(problem))
        if problems:
            raise Error("\n".join(problems), NOT_FOUND)

    def _announce_modules(self) -> None:
        """Tell the workers which modules exist, and give them the globals."""
        self.node.announce("", "installed", self.plugins.names("wippy.modules"))
        for point in self.plugins.points("wippy.globals"):
            try:
                module = self.plugins.load("wippy.globals", point.name)
            except Error as problem:
                log.error("%s", problem)
                continue
            self.code.register_commands(module)
            self.node.announce(point.name, "always", module_record(module))

    # What the parts ask of each other ---------------------------------------------------------------------------------

    def warn(self, message: str) -> None:
        """Say what is wrong and not fatal, once."""
        if message not in self.warnings:
            self.warnings.append(message)
            log.warning("%s", message)

    async def _code_bundle(self, entry_id: str) -> dict[str, Any]:
        return await self.code.bundle(entry_id)

    def _committed(self, operations: Sequence[Operation]) -> None:
        self.code.flush()
        self.kinds.committed(operations)

    def _references(self, entry_id: str) -> Iterable[str]:
        entry = self.registry.pending.get(entry_id)
        return self.kinds.needs(entry) if entry is not None else ()

    # The API ----------------------------------------------------------------------------------------------------------

    async def call(self, function: str, *args: Any, **options: Any) -> Any:
        """Call a function, or a process with a default host, and return its value.

        `options`: context (values for `ctx`), timeout (seconds), actor and scope. Raises the Error that the call ends in.
        """
        if not self.interceptors:
            return await self.node.call(function, *args, **options)
        call = FunctionCall(function, args, options)
        return await chain(self.interceptors, call, lambda c: self.node.call(c.function, *c.args, **c.options))

    async def spawn(self, process: str, host: str, *args: Any, **options: Any) -> str:
        """Start a process on a host and return its pid; `options`: name, context, actor, scope."""
        return await self.node.spawn(process, host, *args, **options)

    async def send(self, destination: str, topic: str, *values: Any) -> None:
        """Send a message to a pid or a registered name.

        Raises Error(NotFound) when there is no such process.
        """
        await self.node.send(destination, topic, *values)

    async def wait(self, pid: str) -> Exit:
        """Wait until a process ends; returns its value or error.

        Raises Error(NotFound) when it has ended already.
        """
        return await self.node.wait(pid)

    async def cancel(self, pid: str, reason: str | None = None) -> None:
        """Ask a process to end."""
        await self.node.cancel(pid, reason)

    async def terminate(self, pid: str) -> None:
        """End a process where it stands."""
        await self.node.terminate(pid)
