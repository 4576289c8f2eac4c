"""The global print."""

from __future__ import annotations

import logging

import pytest

from wippy.testing import run_lua


async def test_print_writes_a_log_record(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.INFO, "wippy"):
        await run_lua("print('a', 1, 2.0, nil, true, errors.new('e'), nil) print()")
    found = [(r.levelname, r.getMessage(), r.wippy["logger"], r.wippy["entry"]) for r in caplog.records]
    assert found == [
        ("INFO", "a\t1\t2\tnil\ttrue\te\tnil", "print", "test:main"),
        ("INFO", "", "print", "test:main"),
    ]
    assert capsys.readouterr().out == ""
