"""Overrides and what is left out."""

from __future__ import annotations

from typing import Any

import pytest

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry
from wippy.registry.overrides import apply_overrides, disabled, overrides_from_options, overrides_from_section

ENTRIES = [
    Entry("app:gateway", "http.service", {}, {"addr": ":8080"}),
    Entry("app:worker", "process.lua", {"priority": "low"}, {}),
    Entry("app:http:handler", "function.lua", {}, {}),
]


def applied(*options: str, section: dict[str, Any] | None = None) -> tuple[dict[str, Entry], list[str], list[str]]:
    overrides = [*overrides_from_section(section or {}), *overrides_from_options(options)]
    entries, warnings, problems = apply_overrides(ENTRIES, overrides)
    return {entry.id: entry for entry in entries}, warnings, problems


def test_options_are_coerced_by_shape() -> None:
    entries, warnings, problems = applied(
        "app:gateway:addr=:9090", "app:gateway:timeouts.read=5", "app:gateway:tls=true", "app:gateway:x=a=b"
    )
    assert (warnings, problems) == ([], [])
    assert entries["app:gateway"].data == {"addr": ":9090", "timeouts": {"read": 5}, "tls": True, "x": "a=b"}


def test_the_section_keeps_types() -> None:
    section = {
        "app:gateway:addr": "1",
        "app:worker:meta.priority": ["high"],
        "app:worker:kind": "process.wasm",
        "app:worker:data.kind": "custom",
    }
    entries, _, problems = applied(section=section)
    assert problems == []
    assert entries["app:gateway"].data["addr"] == "1"
    assert entries["app:worker"] == Entry("app:worker", "process.wasm", {"priority": ["high"]}, {"kind": "custom"})


def test_a_name_with_a_colon() -> None:
    entries, _, problems = applied("app:http:handler:method=main")
    assert problems == []
    assert entries["app:http:handler"].data == {"method": "main"}


def test_an_entry_that_does_not_exist() -> None:
    _, warnings, problems = applied("app:gatway:addr=1", section={"old:x:y": 1})
    assert problems == ['-o "app:gatway:addr=1": there is no such entry, did you mean "app:gateway"?']
    assert warnings == ['override "old:x:y": there is no such entry']


def test_what_does_not_fit_names_the_override() -> None:
    options = ("app:gateway=1", "app:gateway:kind=5", "app:gateway:a..b=1")
    _, _, problems = applied(*options, section={"app:gateway:a +=": 1})
    assert problems == [
        'override "app:gateway:a +=": an override sets a field, += belongs to the targets of a requirement',
        '-o "app:gateway=1": expected namespace:entry:field',
        '-o "app:gateway:kind=5": kind must be text, got 5',
        '-o "app:gateway:a..b=1": "a..b" is not a field path: expected text like ".meta.router" or ".middleware +="',
    ]


def test_an_option_without_a_value() -> None:
    with pytest.raises(Error) as caught:
        overrides_from_options(["app:gateway:addr"])
    assert caught.value.message == '-o "app:gateway:addr": expected namespace:entry:field=value'


def test_disabled_namespaces_and_entries() -> None:
    test = disabled({"namespaces": ["legacy.**", "x"], "entries": ["app:old_*", "*:debug", "app.**:tmp"]})
    ids = ["legacy:a", "legacy.x.y:a", "x:a", "app:old_a.endpoint", "lib:debug", "app.a.b:tmp", "app:tmp"]
    assert [i for i in ids if test(i)] == ids
    assert not any(test(i) for i in ("app:new", "x.y:a", "lib.a:debug", "app:a.old_x"))
    assert not disabled({})("app:a")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"namespaces": 5}, "disable.namespaces must be a list of patterns, got 5"),
        ({"entries": ["app"]}, 'disable.entries: "app" is not an id: expected namespace:name'),
    ],
)
def test_a_disable_section_that_makes_no_sense(section: dict[str, Any], message: str) -> None:
    with pytest.raises(Error) as caught:
        disabled(section)
    assert (caught.value.message, caught.value.kind) == (message, INVALID)
