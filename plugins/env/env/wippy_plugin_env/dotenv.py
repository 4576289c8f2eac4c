"""The format of env.storage.file (manual page `system/env`, "File Storage"): lines `NAME=value`, comments, no quoting."""

from __future__ import annotations

import re

from wippy.errors import INVALID, Error

__all__ = ["parse", "with_value"]

# Exactly the ends of lines that files have; str.splitlines knows many more, which values may contain.
_LINE_END = re.compile(r"\r\n|\n|\r")


def _pair(line: str) -> tuple[str, str] | None:
    """Return name and value of a line, or None for a blank or a comment.

    Raises ValueError for anything else.
    """
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    name, sign, value = text.partition("=")
    if not sign or not name.strip() or "#" in name:
        raise ValueError(line)
    return name.strip(), value.partition("#")[0].strip()


def parse(text: str, file: str) -> dict[str, str]:
    """Return the values by name; of a name that stands there twice the last.

    Raises Error(Invalid) with file and line for a line that is neither a value nor a comment.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(_LINE_END.split(text), 1):
        try:
            pair = _pair(line)
        except ValueError:
            raise Error(
                f'{file}:{number}: expected NAME=value or a comment, found "{line.strip()}"', INVALID, retryable=False
            ) from None
        if pair:
            values[pair[0]] = pair[1]
    return values


def with_value(text: str, name: str, value: str) -> str:
    """Return the text with one value set, every other line as it was. The text must be one that `parse` accepts.

    Raises Error(Invalid) for a name or value that the format cannot hold.
    """
    written = f"{name}={value}"
    if not name or _LINE_END.search(written) or _pair(written) != (name, value):
        raise Error(
            f'"{name}": a file cannot hold this name or value (no line breaks, no "#", no spaces around it)',
            INVALID,
            retryable=False,
        )
    lines = _LINE_END.split(text)
    found = [index for index, line in enumerate(lines) if (pair := _pair(line)) and pair[0] == name]
    if found:
        lines[found[-1]] = written
    elif lines[-1]:
        lines += [written, ""]
    else:
        lines[-1:] = [written, ""]
    return "\n".join(lines)
