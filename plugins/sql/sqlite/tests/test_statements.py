"""What is told about SQL text without the database."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy_plugin_sqlite.statements import highest_number, reads, split


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", True),
        ("  -- why\n /* not */ select 1", True),
        ("VALUES (1)", True),
        ("WITH a AS (SELECT 1) SELECT * FROM a", True),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", False),
        ("INSERT INTO t VALUES (1) RETURNING id", False),
        ("PRAGMA journal_mode=DELETE", False),
        ("BEGIN", False),
        ("", False),
        ("-- nothing", False),
    ],
)
def test_reads(sql: str, expected: bool) -> None:
    assert reads(sql) is expected


@pytest.mark.parametrize(
    ("sql", "highest"),
    [
        ("SELECT 1", 0),
        ("SELECT $1", 1),
        ("SELECT $2, $1, $10", 10),
        ("SELECT ?, $1", 0),
        ("SELECT '$3', \"$4\", `$5`, [$6] -- $7\n /* $8 */, $1", 1),
        ("SELECT 'it''s $2', $1", 1),
        ("SELECT '?', $1", 1),
        ("SELECT $name", 0),
    ],
)
def test_numbered_placeholders(sql: str, highest: int) -> None:
    assert highest_number(sql) == highest


STATEMENTS = st.sampled_from(
    [
        "SELECT 1;",
        " INSERT INTO t VALUES (';') ;",
        "-- a; comment\nDELETE FROM t;",
        '/* ; */ SELECT ";";',
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;",
    ]
)


@given(st.lists(STATEMENTS), st.sampled_from(["", "  \n", "SELECT 2"]))
def test_split_finds_every_statement(statements: list[str], rest: str) -> None:
    found = list(split("".join(statements) + rest))
    assert found == statements + ([rest] if rest.strip() else [])
    assert all(sqlite3.complete_statement(statement) for statement in found[: len(statements)])
