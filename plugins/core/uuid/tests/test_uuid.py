"""The Lua module uuid, with Python's uuid as the oracle."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from wippy.errors import INVALID, Error
from wippy.scheduler.clock import VirtualClock
from wippy.testing import run_lua

URL = str(uuid.NAMESPACE_URL)
START = VirtualClock().wall() / 1e9


async def run(source: str, *args: Any, **options: Any) -> Any:
    return await run_lua('local uuid = require("uuid") ' + source, *args, modules=["uuid"], **options)


@pytest.mark.parametrize("version", [1, 4, 7])
async def test_generated_identifiers_are_of_their_version_and_differ(version: int) -> None:
    made = await run(f"local ids = {{}} for i = 1, 200 do ids[i] = uuid.v{version}() end return ids")
    assert len(set(made)) == 200
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, version, uuid.RFC_4122)


@pytest.mark.parametrize("version", [1, 4, 7])
async def test_a_seed_makes_them_reproducible(version: int) -> None:
    source = f"return {{ uuid.v{version}(), uuid.v{version}() }}"
    assert await run(source, seed=7) == await run(source, seed=7)
    assert await run(source, seed=7) != await run(source, seed=8)


async def test_version_7_sorts_in_the_order_of_making() -> None:
    made = await run("local ids = {} for i = 1, 5000 do ids[i] = uuid.v7() end return ids")
    assert made == sorted(made)


async def test_version_1_tells_time_and_node() -> None:
    first, second = (uuid.UUID(text) for text in await run("return { uuid.v1(), uuid.v1() }"))
    assert (first.time - 0x01B21DD213814000) / 1e7 == START
    assert second.time > first.time
    assert (first.node, first.clock_seq) == (second.node, second.clock_seq)
    assert first.node >> 40 & 1  # multicast: no network card's address


@pytest.mark.parametrize("name", ["", "https://example.com/resource", "é", "x" * 55, "x" * 56, "y" * 63, "z" * 1000])
async def test_names_give_what_python_gives(name: str) -> None:
    assert await run("return uuid.v3(...)", URL, name) == str(uuid.uuid3(uuid.NAMESPACE_URL, name))
    assert await run("return uuid.v5(...)", URL, name) == str(uuid.uuid5(uuid.NAMESPACE_URL, name))


async def test_every_length_of_a_name_is_padded_right() -> None:
    source = """local ids = {}
    for i = 0, 130 do
      local name = ("n"):rep(i)
      ids[i + 1] = { uuid.v3((...), name), (uuid.v5((...), name)) }
    end
    return ids"""
    expected = [[str(make(uuid.NAMESPACE_URL, "n" * i)) for make in (uuid.uuid3, uuid.uuid5)] for i in range(131)]
    assert await run(source, URL) == expected


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (URL, True),
        (URL.upper(), True),
        (URL.replace("-", ""), True),
        (f"urn:uuid:{URL}", True),
        (f"{{{URL}}}", True),
        ("00000000-0000-0000-0000-000000000000", True),
        (URL + "0", False),
        (URL[:-1] + "g", False),
        (URL.replace("-", "_"), False),
        (f"({URL})", False),
        ("", False),
        (12, False),
        (None, False),
        ({}, False),
    ],
)
async def test_validate(text: Any, valid: bool) -> None:
    assert await run("return uuid.validate(...)", text) is valid
    if valid:
        assert await run("return uuid.format(...)", text) == str(uuid.UUID(text))


@pytest.mark.parametrize(
    ("digit", "variant"),
    [("0", "Reserved"), ("7", "Reserved"), ("8", "RFC4122"), ("b", "RFC4122"), ("c", "Microsoft"), ("F", "Future")],
)
async def test_variant(digit: str, variant: str) -> None:
    text = f"6ba7b811-9dad-41d1-{digit}0b4-00c04fd430c8"
    assert await run("return uuid.variant(...)", text) == variant
    assert await run("return uuid.version(...)", text) == 4
    assert await run("return uuid.parse(...)", text) == {"version": 4, "variant": variant}


async def test_parse_gives_time_and_node() -> None:
    assert await run("return uuid.parse(...)", "6ba7b810-9dad-11d1-80b4-00c04fd430c8") == {
        "version": 1,
        "variant": "RFC4122",
        "timestamp": 886630433,
        "node": "00c04fd430c8",
    }
    assert await run("return uuid.parse(uuid.v7())") == {"version": 7, "variant": "RFC4122", "timestamp": int(START)}
    assert await run("return uuid.parse(uuid.v1()).timestamp") == int(START)


@pytest.mark.parametrize(
    ("style", "expected"),
    [(None, URL), ("standard", URL), ("simple", URL.replace("-", "")), ("urn", f"urn:uuid:{URL}")],
)
async def test_format(style: str | None, expected: str) -> None:
    assert await run("return uuid.format(...)", URL.upper(), style) == expected


@pytest.mark.parametrize(
    "call",
    [
        "uuid.v3('nope', 'x')",
        "uuid.v5(nil, 'x')",
        "uuid.v5('6ba7b811-9dad-11d1-80b4-00c04fd430c8', 12)",
        "uuid.version('x')",
        "uuid.version({})",
        "uuid.variant('')",
        "uuid.parse(12)",
        "uuid.format('x')",
        "uuid.format('6ba7b811-9dad-11d1-80b4-00c04fd430c8', 'short')",
        "uuid.format('6ba7b811-9dad-11d1-80b4-00c04fd430c8', {})",
    ],
)
async def test_what_is_no_uuid_is_invalid(call: str) -> None:
    with pytest.raises(Error, match=r"^uuid\.") as caught:
        await run(f"return {call}")
    assert (caught.value.kind, caught.value.retryable) == (INVALID, False)
