"""Errors that all drivers share, so that programs see one wording and one kind (manual page lua/storage/store)."""

from __future__ import annotations

from wippy.errors import ALREADY_EXISTS, CONFLICT, RATE_LIMITED, Error

__all__ = ["key_exists", "store_full", "version_conflict"]


def key_exists(key: str) -> Error:
    """Return the error of `only_if_absent` for a key that is there."""
    return Error(f'key "{key}" exists already', ALREADY_EXISTS, retryable=False)


def version_conflict(key: str, wanted: str, found: str | None) -> Error:
    """Return the error of `if_version` that is not the current version; `found` None: the key is not there."""
    what = f"has version {found}" if found is not None else "does not exist"
    return Error(
        f'key "{key}" {what}, not version {wanted}: read it again and retry',
        CONFLICT,
        retryable=True,
        details={"key": key, "expected": wanted, "found": found},
    )


def store_full(store_id: str, max_size: int) -> Error:
    """Return the error of a new key when a bounded store has no room."""
    return Error(f"store {store_id} is full: it holds {max_size} keys (max_size)", RATE_LIMITED, retryable=True)
