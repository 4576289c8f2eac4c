"""Times as drivers give them to Lua: RFC 3339 in UTC (reference, row `sql`)."""

from __future__ import annotations

from datetime import UTC, date, datetime

__all__ = ["rfc3339"]


def rfc3339(moment: datetime | date) -> str:
    """Return a time as text such as "2024-05-06T07:08:09Z". One without a zone is UTC; a date is its midnight.

    Fractions of a second are written only where there are any.
    """
    if not isinstance(moment, datetime):
        return f"{moment.isoformat()}T00:00:00Z"
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    text = moment.isoformat()
    return f"{text.rstrip('0') if moment.microsecond else text}Z"
