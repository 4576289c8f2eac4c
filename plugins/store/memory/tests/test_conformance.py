"""The store conformance kit on store.memory."""

from wippy.registry.entry import Entry
from wippy_plugin_store.conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    def entries(self):
        return [Entry("app:store", "store.memory")]
