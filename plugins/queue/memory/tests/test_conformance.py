"""The queue conformance kit on queue.driver.memory."""

from wippy.registry.entry import Entry
from wippy_plugin_queue.conformance import QueueConformance


class TestMemoryDriver(QueueConformance):
    name = "memory"
    two_messages = {"max_length": 2}  # noqa: RUF012

    def entries(self):
        return [Entry("app:driver", "queue.driver.memory", data={"lifecycle": {"auto_start": True}})]
