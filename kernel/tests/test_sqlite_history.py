"""Versions on disk: durable, and clear about what is wrong with the file."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wippy.errors import CONFLICT, INVALID, UNAVAILABLE, Error
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry, Place
from wippy.registry.history import Version
from wippy.registry.sqlite_history import SqliteHistory

ENTRY = Entry(
    "app:a",
    "function.lua",
    {"tags": ["x"]},
    {"source": "return 1", "bytes": b"\0\xff", "n": 2**40, "f": 1.5, "none": None, "deep": {"list": [True]}},
    Place("src/a.yaml", 3, {"source": 5}, {"source": "src/a.lua"}),
)
FIRST = Version(1, 0, (Operation(Op.CREATE, ENTRY),), 12.5, True)
SECOND = Version(2, 1, (Operation(Op.UPDATE, Entry("app:a", "k"), ENTRY), Operation(Op.CREATE, Entry("app:b", "k"))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "registry.db"


@pytest.fixture
def history(path: Path) -> Iterator[SqliteHistory]:
    with closing(SqliteHistory(path)) as opened:
        yield opened


def test_versions_come_back_as_they_were(history: SqliteHistory, path: Path) -> None:
    assert list(history.load()) == []
    history.append(FIRST)
    history.append(SECOND)
    assert list(history.load()) == [FIRST, SECOND]
    history.close()
    with closing(SqliteHistory(path)) as again:
        assert list(again.load()) == [FIRST, SECOND]


def test_the_file_is_in_wal_mode_and_synced(history: SqliteHistory) -> None:
    query = history._connection.execute
    assert query("PRAGMA journal_mode").fetchone() == ("wal",)
    assert query("PRAGMA synchronous").fetchone() == (2,)


def test_what_was_appended_survives_kill_9(path: Path) -> None:
    program = f"""
import os, signal
from wippy.registry.change import Op, Operation
from wippy.registry.entry import Entry
from wippy.registry.history import Version
from wippy.registry.sqlite_history import SqliteHistory
history = SqliteHistory({str(path)!r})
for number in (1, 2, 3):
    history.append(Version(number, number - 1, (Operation(Op.CREATE, Entry(f"app:e{{number}}", "k")),)))
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with closing(SqliteHistory(path)) as history:
        versions = history.load()
        assert [version.operations[0].entry.id for version in versions] == ["app:e1", "app:e2", "app:e3"]
        history.append(Version(4, 3, (Operation(Op.DELETE, Entry("app:e1", "k")),)))
        assert len(history.load()) == 4


def test_another_process_with_the_same_file(history: SqliteHistory, path: Path) -> None:
    with closing(SqliteHistory(path)) as other:
        other.append(FIRST)
        with pytest.raises(Error) as caught:
            history.append(FIRST)
    assert caught.value.kind == CONFLICT
    assert str(path) in caught.value.message


def test_a_file_that_another_process_locks(history: SqliteHistory, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wippy.registry.sqlite_history._BUSY_TIMEOUT", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Error) as caught:
            SqliteHistory(path)
        other.execute("ROLLBACK")
    assert (caught.value.kind, caught.value.retryable) == (UNAVAILABLE, True)
    assert "another process holds it" in caught.value.message


def test_an_entry_that_cannot_be_stored(history: SqliteHistory) -> None:
    with pytest.raises(Error) as caught:
        history.append(Version(1, 0, (Operation(Op.CREATE, Entry("app:a", "k", {}, {"n": 2**70})),)))
    assert caught.value.kind == INVALID
    assert "app:a" in caught.value.message
    assert list(history.load()) == []


def test_a_closed_history(history: SqliteHistory) -> None:
    history.close()
    history.close()
    with pytest.raises(Error, match=r"closed"):
        history.load()


@pytest.mark.parametrize("content", [b"not a database " * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(Error) as caught:
        SqliteHistory(path)
    assert caught.value.kind in (INVALID, UNAVAILABLE)
    assert str(path) in caught.value.message
    assert "is damaged" in caught.value.message or "cannot be used" in caught.value.message


def test_pages_that_were_overwritten(history: SqliteHistory, path: Path) -> None:
    for number in range(1, 200):
        history.append(Version(number, number - 1, (Operation(Op.CREATE, ENTRY),)))
    history.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    with closing(SqliteHistory(path)) as damaged, pytest.raises(Error) as caught:
        damaged.load()
    assert caught.value.kind == INVALID
    assert "is damaged" in caught.value.message
    assert "move it away" in caught.value.message


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("UPDATE version SET operations = x'c1' WHERE id = 2", "version 2 cannot be decoded"),
        ("UPDATE version SET operations = 'text' WHERE id = 2", "version 2 cannot be decoded"),
        ("DELETE FROM version WHERE id = 1", "version 1 is missing"),
        ("UPDATE version SET previous = 9 WHERE id = 2", "version 2 is missing or follows the wrong one"),
        ("DROP TABLE version", "no such table"),
    ],
)
def test_content_that_is_damaged(history: SqliteHistory, path: Path, statement: str, cause: str) -> None:
    history.append(FIRST)
    history.append(SECOND)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement)
    with pytest.raises(Error) as caught:
        history.load()
    assert cause in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("statement", "cause"),
    [("PRAGMA user_version=9", "newer version"), ("CREATE TABLE other (x)", "database of something else")],
)
def test_a_file_of_another_format(path: Path, statement: str, cause: str) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement)
    with pytest.raises(Error) as caught:
        SqliteHistory(path)
    assert cause in caught.value.message
    assert caught.value.kind == INVALID


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Error) as caught:
        SqliteHistory(tmp_path / "file" / "registry.db")
    assert caught.value.kind == UNAVAILABLE
    (tmp_path / "folder").mkdir()
    with pytest.raises(Error) as caught:
        SqliteHistory(tmp_path / "folder")
    assert caught.value.kind == UNAVAILABLE
