"""Log records on the console: a line each on standard error, for people or as JSON.

Sources: manual pages guides/cli (`-v`, `-c`, `-s`), guides/configuration (`logger`, `logmanager`) and
guides/observability (fields of records that Lua writes).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import msgspec

from wippy.config import Config
from wippy.errors import INVALID, Error
from wippy_plugin_cli.launch import Launch

__all__ = ["ConsoleFormatter", "JsonFormatter", "console_logging"]

_COLOURS = {"DEBUG": "35", "INFO": "36", "WARN": "33", "ERROR": "31"}
_DIM = "2"

#: `logmanager.min_level` by its number.
_LEVELS = {-1: logging.DEBUG, 0: logging.INFO, 1: logging.WARNING, 2: logging.ERROR}


@contextmanager
def console_logging(launch: Launch, config: Config, *, quiet: bool = False) -> Iterator[logging.Handler]:
    """Send the program's records to the console while the block runs, as flags and configuration say.

    `quiet` is for commands whose output matters more than the runtime's: errors only, unless flags ask for logs. Raises
    Error(Invalid) for an unknown encoding or level.
    """
    root, ours = logging.getLogger(), logging.getLogger("wippy")
    before = root.handlers[:], ours.level
    handler = _handler(launch, config, sys.stderr, quiet)
    root.handlers[:] = [handler]
    ours.setLevel(logging.DEBUG if launch.verbose or launch.very_verbose else _level(config))
    try:
        yield handler
    finally:
        root.handlers[:], ours.level = before


def _level(config: Config) -> int:
    number = config.get("logmanager.min_level")
    if number not in _LEVELS:
        raise Error(f"logmanager.min_level is {number}; known are -1 (debug), 0 (info), 1 (warn), 2 (error)", INVALID)
    return _LEVELS[number]


def _handler(launch: Launch, config: Config, stream: TextIO, quiet: bool) -> logging.Handler:
    asked = launch.verbose or launch.very_verbose or launch.console
    if launch.silent or not config.get("logmanager.propagate_downstream"):
        return logging.NullHandler()
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.ERROR if quiet and not asked else logging.DEBUG)
    encoding = config.get("logger.encoding")
    if encoding == "json" and not launch.console:
        handler.setFormatter(JsonFormatter(launch.very_verbose))
    elif encoding in ("console", "json"):
        colours = launch.console or (stream.isatty() and not os.environ.get("NO_COLOR"))
        detailed = launch.verbose or launch.very_verbose
        handler.setFormatter(ConsoleFormatter(colours, detailed=detailed, stacks=launch.very_verbose))
    else:
        raise Error(f'logger.encoding is "{encoding}"; known are console and json', INVALID)
    return handler


def _parts(record: logging.LogRecord) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    """Return level, logger name, the fields of the program, and the context that the runtime adds."""
    extra: dict[str, Any] = getattr(record, "wippy", None) or {}
    fields = extra.get("fields")
    context = {key: extra[key] for key in ("pid", "location") if extra.get(key)}
    level = "WARN" if record.levelno == logging.WARNING else record.levelname
    name = extra.get("logger") or extra.get("entry") or record.name
    return level, str(name), fields if isinstance(fields, dict) else {}, context


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


class ConsoleFormatter(logging.Formatter):
    """`14:02:11.520 INFO  app.api  message  {"field": 1}`; `detailed` adds pid and place, `stacks` tracebacks."""

    def __init__(self, colours: bool, *, detailed: bool = False, stacks: bool = False) -> None:
        super().__init__()
        self._colours = colours
        self._detailed = detailed
        self._stacks = stacks

    def format(self, record: logging.LogRecord) -> str:
        level, name, fields, context = _parts(record)
        clock = f"{time.strftime('%H:%M:%S', time.localtime(record.created))}.{int(record.msecs):03d}"
        shown = {**fields, **context} if self._detailed else fields
        line = (
            f"{self._paint(clock, _DIM)} {self._paint(f'{level:<5}', _COLOURS.get(level, '0'))} "
            f"{self._paint(name, _DIM)}  {record.getMessage()}"
        )
        if shown:
            line += "  " + self._paint(_json(shown), _DIM)
        if record.exc_info and record.exc_info[1] is not None:
            problem = record.exc_info[1]
            line += (
                "\n" + self.formatException(record.exc_info)
                if self._stacks
                else f": {type(problem).__name__}: {problem} (--very-verbose shows the stack)"
            )
        return line

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: level, ts (seconds since the epoch), logger, msg, then the record's fields."""

    def __init__(self, stacks: bool = False) -> None:
        super().__init__()
        self._stacks = stacks

    def format(self, record: logging.LogRecord) -> str:
        level, name, fields, context = _parts(record)
        head = {"level": level.lower(), "ts": record.created, "logger": name, "msg": record.getMessage()}
        # A field of the program must not pass for what the runtime says.
        line = {**{f"fields.{k}" if k in head or k in context else k: v for k, v in fields.items()}, **context}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
            if self._stacks:
                line["stack"] = self.formatException(record.exc_info)
        return _json({**head, **line})
