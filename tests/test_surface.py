"""The installed surface of modules and globals is that of the reference (section 2): no name missing, none extra."""

from __future__ import annotations

import pytest

from wippy.testing import run_lua

#: Module or global -> its names; dotted names are tables inside it.
SURFACE = {
    "process": """id pid send spawn spawn_monitored spawn_linked spawn_linked_monitored exec terminate cancel monitor unmonitor
        link unlink get_options set_options with_context with_options inbox events listen unlisten upgrade
        event.CANCEL event.EXIT event.LINK_DOWN event.OUTDATED
        registry.register registry.lookup registry.unregister registry.LOCAL registry.EVENTUAL registry.CONSISTENT
        registry.STRONG""",
    "channel": "new select",
    "errors": """new wrap is call_stack UNKNOWN INVALID NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED UNAVAILABLE INTERNAL
        CANCELED CONFLICT TIMEOUT RATE_LIMITED""",
    "payload": """new format.JSON format.YAML format.STRING format.GOLANG format.LUA format.BYTES format.MSGPACK
        format.ERROR""",
    "os": "time date clock difftime platform",
    "funcs": "new call async",
    "time": """now date unix parse parse_duration load_location fixed_zone sleep after timer ticker utc localtz NANOSECOND
        MICROSECOND MILLISECOND SECOND MINUTE HOUR RFC3339 RFC3339NANO RFC822 RFC822Z RFC850 RFC1123 RFC1123Z KITCHEN STAMP
        STAMP_MILLI STAMP_MICRO STAMP_NANO DATE_TIME DATE_ONLY TIME_ONLY JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST
        SEPTEMBER OCTOBER NOVEMBER DECEMBER SUNDAY MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY""",
    "ctx": "get all",
    "json": "encode decode validate validate_string",
    "uuid": "v1 v3 v4 v5 v7 validate version variant parse format",
    "logger": "debug info warn error with named",
    "registry": "get find parse_id snapshot snapshot_at current_version versions history apply_version build_delta",
    "events": "subscribe send",
    "io": "write print eprint read readline raw flush args",
    "env": "get set get_all",
    "sql": """get NULL as.int as.float as.text as.binary as.null type.POSTGRES type.MYSQL type.SQLITE type.UNKNOWN
        isolation.DEFAULT isolation.READ_UNCOMMITTED isolation.READ_COMMITTED isolation.WRITE_COMMITTED
        isolation.REPEATABLE_READ isolation.SERIALIZABLE""",
    "store": """get backend.KV_RAFT backend.KV_CRDT backend.MEMORY backend.SQL backend.UNKNOWN consistency.LINEARIZABLE
        consistency.EVENTUAL consistency.LOCAL consistency.UNKNOWN""",
    "queue": "publish message info",
}
GLOBALS = {"process", "channel", "errors", "payload", "os", "funcs"}

#: Names under which values are compared with the reference as well.
VALUES = {
    "process": {
        "event.CANCEL": "pid.cancel",
        "event.EXIT": "pid.exit",
        "event.LINK_DOWN": "pid.link.down",
        "registry.LOCAL": 0,
        "registry.EVENTUAL": 1,
        "registry.CONSISTENT": 2,
        "registry.STRONG": 3,
    },
    "errors": {
        "UNKNOWN": "",
        "INVALID": "Invalid",
        "NOT_FOUND": "NotFound",
        "ALREADY_EXISTS": "AlreadyExists",
        "PERMISSION_DENIED": "PermissionDenied",
        "UNAVAILABLE": "Unavailable",
        "INTERNAL": "Internal",
        "CANCELED": "Canceled",
        "CONFLICT": "Conflict",
        "TIMEOUT": "Timeout",
        "RATE_LIMITED": "RateLimited",
    },
    "os": {"platform": "wippy"},
}

LIST = """
local names, values = {}, {}
local function look(prefix, module)
  for name, value in pairs(module) do
    if type(value) == "table" then
      look(prefix .. name .. ".", value)
    else
      names[#names + 1] = prefix .. name
      if type(value) == "string" or type(value) == "number" then values[prefix .. name] = value end
    end
  end
end
look("", require(...))
return {names, values}
"""


@pytest.mark.parametrize("module", SURFACE)
async def test_surface(module):
    names, values = await run_lua(LIST, module, modules=[] if module in GLOBALS else [module])
    assert set(names) == set(SURFACE[module].split())
    for name, value in VALUES.get(module, {}).items():
        assert values[name] == value


async def test_what_is_there_without_listing():
    result = await run_lua(
        """
        local names = {}
        for _, name in ipairs({"process", "channel", "subscribe", "unsubscribe", "os", "payload", "errors", "print", "require",
          "package", "table", "math", "string", "coroutine", "utf8", "funcs"}) do
          if _G[name] == nil then names[#names + 1] = name end
        end
        return names
        """
    )
    assert result == []


BASE = """assert error getmetatable setmetatable next ipairs pairs pcall xpcall print rawequal rawget rawset select tonumber
    tostring type unpack require"""
STRING = "byte char find format gfind gmatch gsub len lower upper match rep reverse sub pack unpack packsize dump"
TABLE = "concat insert remove sort unpack pack move getn maxn create freeze isfrozen"
MATH = "tointeger type ult maxinteger mininteger randomseed random floor ceil sqrt abs max min fmod huge pi log exp sin cos tan"
COROUTINE = "create resume running status wrap yield spawn"


@pytest.mark.parametrize(
    ("table", "names"), [("_G", BASE), ("string", STRING), ("table", TABLE), ("math", MATH), ("coroutine", COROUTINE)]
)
async def test_the_base_library(table, names):
    missing = await run_lua(
        f"local missing = {{}} for name in ({names!r}):gmatch('%S+') do "
        f"if {table}[name] == nil then missing[#missing + 1] = name end end return missing"
    )
    assert missing == []
