"""The memory store against a model: a dict whose values know when they end."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wippy.errors import ALREADY_EXISTS, CONFLICT, RATE_LIMITED, Error
from wippy.scheduler.clock import VirtualClock
from wippy_plugin_store_memory import MemoryStore

MAX_SIZE = 4
KEYS = st.sampled_from(["a", "a:1", "a:2", "b", "é", "z"])
TTLS = st.none() | st.sampled_from([1.0, 2.5, 7.0])


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a memory store does not wait")


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.store = MemoryStore("app:store", self.clock, MAX_SIZE, 3)
        self.model: dict[str, tuple[bytes, float, str]] = {}
        self.written = 0

    def put(self, key: str, ttl: float | None, **conditions: Any) -> None:
        self.written += 1
        value = str(self.written).encode()
        version = run(self.store.put(key, value, ttl, **conditions))
        self.model[key] = (value, float("inf") if ttl is None else self.clock.now() + ttl, version)

    def refused(self, kind: str, key: str, **conditions: Any) -> None:
        with pytest.raises(Error) as caught:
            run(self.store.put(key, b"", **conditions))
        assert caught.value.kind == kind

    @rule(key=KEYS, ttl=TTLS)
    def write(self, key: str, ttl: float | None) -> None:
        if key not in self.model and len(self.model) == MAX_SIZE:
            self.refused(RATE_LIMITED, key, ttl=ttl)
        else:
            self.put(key, ttl)

    @rule(key=KEYS, ttl=TTLS)
    def create(self, key: str, ttl: float | None) -> None:
        if key in self.model:
            self.refused(ALREADY_EXISTS, key, only_if_absent=True)
        elif len(self.model) == MAX_SIZE:
            self.refused(RATE_LIMITED, key, only_if_absent=True)
        else:
            self.put(key, ttl, only_if_absent=True)

    @rule(key=KEYS, ttl=TTLS, stale=st.booleans())
    def compare_and_set(self, key: str, ttl: float | None, stale: bool) -> None:
        if stale or key not in self.model:
            self.refused(CONFLICT, key, if_version="0")
        else:
            self.put(key, ttl, if_version=self.model[key][2])

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert run(self.store.delete(key)) == (self.model.pop(key, None) is not None)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now() + seconds)
        self.model = {key: record for key, record in self.model.items() if record[1] > self.clock.now()}

    @rule(prefix=st.sampled_from(["", "a", "a:", "x"]), limit=st.integers(1, 3))
    def page_through(self, prefix: str, limit: int) -> None:
        seen: list[tuple[str, bytes, str]] = []
        after, more = "", True
        while more:
            page = run(self.store.list(prefix, after, limit))
            assert len(page.items) <= limit
            seen += [(item.key, item.value, item.version) for item in page.items]
            after, more = page.cursor, page.has_more
        wanted = sorted(key for key in self.model if key.startswith(prefix))
        assert seen == [(key, self.model[key][0], self.model[key][2]) for key in wanted]

    @invariant()
    def every_key_is_what_the_model_says(self) -> None:
        for key in ["a", "a:1", "a:2", "b", "é", "z"]:
            item = run(self.store.get(key))
            assert run(self.store.has(key)) == (key in self.model)
            assert (item and (item.value, item.version)) == (
                (self.model[key][0], self.model[key][2]) if key in self.model else None
            )


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestStoreAgainstModel = StoreMachine.TestCase
