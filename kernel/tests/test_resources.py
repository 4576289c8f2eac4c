"""Resources by id and protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import pytest

from wippy.errors import ALREADY_EXISTS, INVALID, NOT_FOUND, Error
from wippy.resources import Resources


@runtime_checkable
class KeyValueStore(Protocol):
    def read(self, key: str) -> str: ...


class Store:
    def read(self, key: str) -> str:
        return key


def test_get_put_remove():
    resources = Resources()
    store = Store()
    resources.put("app:s", store)
    assert resources.get("app:s", KeyValueStore) is store
    assert resources.all(KeyValueStore) == {"app:s": store}
    assert resources.remove("app:s") is store
    assert resources.remove("app:s") is None


@pytest.mark.parametrize(
    ("entry_id", "kind", "message"),
    [
        ("app:none", NOT_FOUND, "key value store app:none not found"),
        ("app:other", INVALID, "app:other is not a key value store"),
    ],
)
def test_what_is_not_there_says_what_was_wanted(entry_id, kind, message):
    resources = Resources()
    resources.put("app:other", object())
    with pytest.raises(Error) as caught:
        resources.get(entry_id, KeyValueStore)
    assert (caught.value.kind, str(caught.value)) == (kind, message)


def test_an_id_has_one_resource():
    resources = Resources()
    resources.put("app:s", Store())
    with pytest.raises(Error) as caught:
        resources.put("app:s", Store())
    assert caught.value.kind == ALREADY_EXISTS
