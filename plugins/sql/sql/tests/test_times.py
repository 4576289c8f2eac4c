from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from wippy_plugin_sql import rfc3339


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 5, 6, 7, 8, 9), "2024-05-06T07:08:09Z"),
        (datetime(2024, 5, 6, 7, 8, 9, 120_000), "2024-05-06T07:08:09.12Z"),
        (datetime(2024, 5, 6, 7, 8, 10, tzinfo=UTC), "2024-05-06T07:08:10Z"),
        (datetime(2024, 5, 6, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2024-05-05T23:00:00Z"),
        (date(2024, 5, 6), "2024-05-06T00:00:00Z"),
    ],
)
def test_rfc3339(moment: date, text: str) -> None:
    assert rfc3339(moment) == text
