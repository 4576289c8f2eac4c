"""Kinds that only hold data: registry.entry, and ns.definition, ns.requirement and ns.dependency.

The two that steer how an application is put together are resolved before boot (wippy.registry.link); as entries they
are there to be read. Source: manual pages `guides/entry-kinds` and `internals/registry`, "Non-propagating Entries".
"""

from __future__ import annotations

import msgspec

from wippy.kind import Kind

__all__ = ["DataKind"]


class DataKind(Kind[msgspec.Struct]):
    """Entries with any data, which nothing happens with."""

    open_data = True
