"""Processes: the kinds process.lua, process.host and process.service, and the globals that processes use."""

from wippy.module import WORKFLOW, Module, lua_source
from wippy_plugin_process.host import HostKind
from wippy_plugin_process.kind import ProcessKind
from wippy_plugin_process.service import ServiceKind

__all__ = ["HostKind", "ProcessKind", "ServiceKind", "process", "subscribe", "unsubscribe"]

process = Module(
    "process",
    (lua_source(__package__, "spawner.lua"), lua_source(__package__, "process.lua")),
    module_class=WORKFLOW,
    permissions={
        "send": "process.send",
        "spawn": "process.spawn",
        "spawn_monitored": "process.spawn.monitored",
        "spawn_linked": "process.spawn.linked",
        "exec": "process.exec",
        "terminate": "process.terminate",
        "cancel": "process.cancel",
        "monitor": "process.monitor",
        "unmonitor": "process.unmonitor",
        "link": "process.link",
        "unlink": "process.unlink",
        "with_context": "process.context",
        "with_options": "process.context",
    },
)
subscribe = Module("subscribe", lua_source(__package__, "subscribe.lua"), module_class=WORKFLOW)
unsubscribe = Module("unsubscribe", lua_source(__package__, "unsubscribe.lua"), module_class=WORKFLOW)
