"""The registry as its users meet it: changes, versions, rollback and queries."""

from __future__ import annotations

import pytest

from wippy.errors import ALREADY_EXISTS, INVALID, NOT_FOUND, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.registry.registry import Registry


class Recorder:
    """Accepts everything but the ids it is told to reject, and remembers what it was told."""

    def __init__(self, reject: str = "") -> None:
        self.reject = reject
        self.seen: list[tuple[Op, str]] = []

    async def accept(self, operation: Operation) -> None:
        if operation.entry.id == self.reject:
            raise Error("no", INVALID)
        self.seen.append((operation.op, operation.entry.id))


def entry(entry_id: str, kind: str = "registry.entry", needs: tuple[str, ...] = (), **meta: object) -> Entry:
    return Entry(entry_id, kind, meta, {"needs": list(needs)})


def create(*entries: Entry) -> list[Operation]:
    return [Operation(Op.CREATE, e) for e in entries]


def make(recorder: Recorder) -> Registry:
    return Registry(lambda e: recorder, needs=lambda e: e.data.get("needs", ()))


async def test_what_others_need_is_created_first_and_deleted_last() -> None:
    recorder = Recorder()
    registry = make(recorder)
    await registry.apply(create(entry("a:1", needs=("a:2",)), entry("a:2", needs=("a:3",)), entry("a:3")))
    assert [i for _, i in recorder.seen] == ["a:3", "a:2", "a:1"]
    recorder.seen.clear()
    await registry.apply([Operation(Op.DELETE, e) for e in list(registry.state.values())])
    assert [i for _, i in recorder.seen] == ["a:1", "a:2", "a:3"]


async def test_one_rejection_undoes_the_whole_change() -> None:
    recorder = Recorder(reject="a:2")
    registry = make(recorder)
    with pytest.raises(Error, match="no"):
        await registry.apply(create(entry("a:1"), entry("a:2")))
    assert recorder.seen == [(Op.CREATE, "a:1"), (Op.DELETE, "a:1")]
    assert len(registry) == 0
    assert registry.current == 0


async def test_operations_must_fit_the_state() -> None:
    registry = make(Recorder())
    await registry.apply(create(entry("a:1")))
    with pytest.raises(Error) as problem:
        await registry.apply(create(entry("a:1")))
    assert problem.value.kind == ALREADY_EXISTS
    with pytest.raises(Error) as problem:
        await registry.apply([Operation(Op.DELETE, entry("a:2"))])
    assert problem.value.kind == NOT_FOUND
    with pytest.raises(Error) as problem:
        await registry.apply([])
    assert problem.value.kind == INVALID


async def test_any_version_can_be_applied_again() -> None:
    registry = make(Recorder())
    await registry.apply(create(entry("a:1")))
    await registry.apply(create(entry("a:2")))
    await registry.apply_version(1)
    assert sorted(registry.state) == ["a:1"]
    await registry.apply(create(entry("a:3")))
    assert registry.versions()[-1].previous == 1
    assert sorted(registry.state_at(3)) == ["a:1", "a:3"]
    await registry.apply_version(2)
    assert sorted(registry.state) == ["a:1", "a:2"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({".kind": "function.*"}, ["a:f", "b:g"]),
        ({"kind": "function.lua"}, ["a:f", "b:g"]),
        ({".ns": "b"}, ["b:g"]),
        ({".name": "?"}, ["a:f", "a:t", "b:g"]),
        ({"meta.type": "test"}, ["a:t", "b:g"]),
        ({"type": "test", "ns": "a"}, ["a:t"]),
        ({"meta": {"type": "test"}}, ["a:t", "b:g"]),
        ({"meta.order": 1}, ["a:t"]),
        ({"meta.order": True}, []),
        ({"*meta.class": "to"}, ["a:f", "b:g"]),
        ({"^meta.type": "te"}, ["a:t", "b:g"]),
        ({"$meta.type": "st"}, ["a:t", "b:g"]),
        ({"~meta.type": "^t.s"}, ["a:t", "b:g"]),
        ({".unknown": "x"}, ["a:f", "a:t", "b:g"]),
        ({"meta.missing": "x"}, []),
    ],
)
async def test_find(query: dict[str, object], expected: list[str]) -> None:
    registry = make(Recorder())
    await registry.apply(
        create(
            Entry("a:f", "function.lua", {"class": ["tool", "x"]}),
            Entry("a:t", "registry.entry", {"type": "test", "order": 1}),
            Entry("b:g", "function.lua", {"type": "test", "class": "tool"}),
        )
    )
    assert [e.id for e in registry.find(query)] == expected


@pytest.mark.parametrize("query", [{"~meta.type": "("}, {"*type": "x"}, {"^meta.": "x"}])
async def test_malformed_queries_are_invalid(query: dict[str, object]) -> None:
    with pytest.raises(Error) as problem:
        make(Recorder()).find(query)
    assert problem.value.kind == INVALID


async def test_no_change_leaves_the_index_stale() -> None:
    registry = make(Recorder())
    await registry.apply(create(entry("a:1", type="x")))
    await registry.apply([Operation(Op.UPDATE, entry("a:1", type="y"))])
    assert registry.find({"meta.type": "x"}) == []
    assert [e.id for e in registry.find({"meta.type": "y"})] == ["a:1"]
