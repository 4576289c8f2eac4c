"""The conformance kit of area sql on both forms of a SQLite database."""

from pathlib import Path

import pytest

from wippy.registry.entry import Entry

pytest.register_assert_rewrite("wippy_plugin_sql.conformance")

from wippy_plugin_sql.conformance import *  # noqa: E402, F403
from wippy_plugin_sql.conformance import SqlDriver  # noqa: E402

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000000) SELECT count(*) FROM n"


@pytest.fixture(params=["memory", "file", "numbered"])
def sql_driver(request: pytest.FixtureRequest, tmp_path: Path) -> SqlDriver:
    file = ":memory:" if request.param == "memory" else str(tmp_path / "data" / "test.db")
    driver = SqlDriver(
        entry=Entry("test:db", "db.sql.sqlite", data={"file": file}),
        dialect="sqlite",
        slow_query=FOREVER,
        auto_key="INTEGER PRIMARY KEY",
    )
    if request.param == "numbered":
        driver.placeholder = lambda number: f"${number}"
    return driver
