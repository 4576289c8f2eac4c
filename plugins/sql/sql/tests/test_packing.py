"""Rows cross into Lua the same, few or many."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.sandbox.codec import pack, unpack
from wippy.sandbox.vm import Vm, VmSettings
from wippy_plugin_sql import Rows, module
from wippy_plugin_sql.packing import PACKED_FROM, pack_rows

CALLBACKS = {name: lambda *_: None for name in ("claim_name", "release_name", "claim_place", "release_place")}
#: Counts the rows, and gives them back one MessagePack string a row: what the VM holds, as Python sees it.
PROBE = b"""
local kernel = ...
local function probe(answer)
  local rows = kernel.plugin_sql.rows(answer)
  local out = {}
  for i = 1, #rows do out[i] = kernel.pack(rows[i]) end
  return table.concat(out, "\\0SEPARATOR\\0")
end
return probe
"""

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.binary(max_size=20),
)
columns = st.one_of(
    *(
        st.lists(kind, min_size=PACKED_FROM, max_size=PACKED_FROM + 20)
        for kind in (
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.text(st.characters(codec="utf-8"), max_size=20),
            st.binary(max_size=20),
            st.none(),
            st.one_of(st.none(), st.integers(0, 9)),
            st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=3)),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            values,
        )
    )
)


@pytest.fixture(scope="module")
def probe() -> Any:
    settings = VmSettings(clock=lambda: 0.0, wall_clock=lambda: 0, monotonic=lambda: 0.0, native=False)
    vm = Vm(settings, CALLBACKS)
    for source in module.source[:2]:
        vm.extend("sql", source.encode())
    return vm.extend("probe", PROBE)


def _as_lua_has_it(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and -(2.0**63) <= value < 2.0**63:
        return int(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


@given(st.lists(columns, min_size=1, max_size=4))
def test_many_rows_arrive_as_maps(probe: Any, table: list[list[Any]]) -> None:
    count = min(map(len, table))
    names = [f"column {i} é \"'" for i in range(len(table))]
    rows = list(zip(*(column[:count] for column in table), strict=True))
    packed = pack_rows(Rows(names, rows))
    assert isinstance(packed, bytes)
    seen = [unpack(part) or {} for part in probe(packed).split(b"\0SEPARATOR\0")]
    wanted = [{name: _as_lua_has_it(v) for name, v in zip(names, row, strict=True) if v is not None} for row in rows]
    assert seen == wanted
    assert [[type(v) for v in row.values()] for row in map(_sorted, seen)] == [
        [type(v) for v in row.values()] for row in map(_sorted, wanted)
    ]


def _sorted(row: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(row.items()))


@given(st.lists(st.tuples(values, values), max_size=PACKED_FROM - 1))
def test_few_rows_are_maps(rows: list[tuple[Any, ...]]) -> None:
    packed = pack_rows(Rows(["a", "b"], rows))
    assert unpack(pack(packed)) == [
        {n: _as_lua_has_it(v) if isinstance(v, float) else v for n, v in zip("ab", row, strict=True)} for row in rows
    ]


@pytest.mark.parametrize("width", [150, 151, 400])
def test_rows_may_be_wide(probe: Any, width: int) -> None:
    names = [f"c{i}" for i in range(width)]
    rows = [tuple(range(row, row + width)) for row in range(PACKED_FROM)]
    seen = [unpack(part) for part in probe(pack_rows(Rows(names, rows))).split(b"\0SEPARATOR\0")]
    assert seen == [dict(zip(names, row, strict=True)) for row in rows]
