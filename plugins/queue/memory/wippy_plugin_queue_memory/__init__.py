"""The kind queue.driver.memory: queues in this process."""

from wippy_plugin_queue_memory.broker import MemoryQueue
from wippy_plugin_queue_memory.driver import MemoryDriver, MemoryDriverConfig, MemoryDriverKind

__all__ = ["MemoryDriver", "MemoryDriverConfig", "MemoryDriverKind", "MemoryQueue"]
