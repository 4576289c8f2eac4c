"""The kind store.memory: a key-value store in this process."""

from wippy_plugin_store_memory.kind import MemoryStoreConfig, MemoryStoreKind
from wippy_plugin_store_memory.store import MemoryStore

__all__ = ["MemoryStore", "MemoryStoreConfig", "MemoryStoreKind"]
