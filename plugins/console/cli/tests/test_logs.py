"""Records on the console, and what is printed when an application is up."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from wippy.config import Config
from wippy.registry.entry import Entry
from wippy.testing import app_of
from wippy_plugin_cli.announce import announcement
from wippy_plugin_cli.launch import Launch
from wippy_plugin_cli.logs import ConsoleFormatter, JsonFormatter, console_logging

log = logging.getLogger("wippy")
LUA = {
    "fields": {"count": 2, "level": "mine"},
    "logger": "shop",
    "pid": "{h|0x1}",
    "entry": "app:f",
    "location": "app:f:3",
}


def record(level=logging.INFO, message="sold", extra=None, failure=None):
    made = logging.LogRecord("wippy", level, "file", 1, message, (), failure)
    made.created, made.msecs = 0.5, 500.0
    made.wippy = extra or {}
    return made


def failure():
    try:
        raise ValueError("odd")
    except ValueError:
        return sys.exc_info()


def test_lines_for_people():
    plain = ConsoleFormatter(False)
    assert plain.format(record(extra=LUA))[8:] == '.500 INFO  shop  sold  {"count":2,"level":"mine"}'
    assert (
        plain.format(record(logging.WARNING, extra={**LUA, "logger": None, "fields": None}))[8:]
        == ".500 WARN  app:f  sold"
    )
    detailed = ConsoleFormatter(False, detailed=True).format(record(extra=LUA))
    assert detailed.endswith('{"count":2,"level":"mine","pid":"{h|0x1}","location":"app:f:3"}')
    assert "\x1b[36mINFO \x1b[0m" in ConsoleFormatter(True).format(record())


def test_internal_failures_show_their_stack_only_when_asked():
    short = ConsoleFormatter(False).format(record(failure=failure()))
    assert short.endswith("sold: ValueError: odd (--very-verbose shows the stack)")
    assert "Traceback" in ConsoleFormatter(False, stacks=True).format(record(failure=failure()))


def test_lines_for_programs():
    assert json.loads(JsonFormatter().format(record(extra=LUA))) == {
        "level": "info", "ts": 0.5, "logger": "shop", "msg": "sold", "count": 2, "fields.level": "mine",
        "pid": "{h|0x1}", "location": "app:f:3",
    }  # fmt: skip
    line = json.loads(JsonFormatter(stacks=True).format(record(failure=failure())))
    assert line["error"] == "ValueError: odd"
    assert "Traceback" in line["stack"]


@pytest.mark.parametrize(
    ("launch", "values", "quiet", "expected"),
    [
        (Launch(), {}, False, ["info", "error"]),
        (Launch(verbose=True), {}, False, ["debug", "info", "error"]),
        (Launch(very_verbose=True), {}, True, ["debug", "info", "error"]),
        (Launch(), {}, True, ["error"]),
        (Launch(console=True), {}, True, ["info", "error"]),
        (Launch(silent=True), {}, False, []),
        (Launch(), {"propagate_downstream": False}, False, []),
        (Launch(), {"min_level": -1}, False, ["debug", "info", "error"]),
        (Launch(), {"min_level": 2}, False, ["error"]),
    ],
)
def test_flags_and_configuration_choose_what_is_shown(capsys, launch, values, quiet, expected):
    before = logging.getLogger().handlers[:], log.level
    with console_logging(launch, Config({"logmanager": values}), quiet=quiet):
        for level in ("debug", "info", "error"):
            getattr(log, level)("said %s", level)
    assert [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()] == expected
    assert (logging.getLogger().handlers, log.level) == before


class Server:
    def __init__(self, place):
        self.place = place

    def describe(self):
        return self.place


async def test_the_announcement():
    async with app_of(Entry("app:note", "registry.entry")) as app:
        assert announcement(app) == "1 entries run. Ctrl-C stops it."
        app.resources.put("app:gateway", Server("http://127.0.0.1:8085"))
        app.resources.put("app:off", Server(""))
        assert announcement(app) == "http://127.0.0.1:8085  (app:gateway)\n\nCtrl-C stops it."
    async with app_of(Entry("app:note", "registry.entry", meta={"try": ["one", "two"]})) as app:
        assert announcement(app) == "Try:\n  one\n  two\n\nCtrl-C stops it."
