"""Placeholders and siblings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import INVALID, Error
from wippy.registry.environment import Missing, names, resolve

VARIABLES = {"HOST": "db.local", "PORT": "5433", "EMPTY": "", "DEBUG": "true", "app.env:key": "s3", "RATE": "2"}


def resolved(data: dict[str, Any], skip: tuple[str, ...] = ()) -> dict[str, Any]:
    result, missing = resolve(data, VARIABLES.get, skip)
    assert missing == []
    return result


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:HOST}", "db.local"),
        ("${env:app.env:key}", "s3"),
        ("${env:PORT}", "5433"),
        ("${env:PORT|8080}", 5433),
        ('${env:PORT|"8080"}', "5433"),
        ("${env:NONE|8080}", 8080),
        ('${env:NONE|"8080"}', "8080"),
        ("${env:NONE|}", ""),
        ("${env:NONE|a|b}", "a|b"),
        ("${env:DEBUG|false}", True),
        ("${env:RATE|1.5}", 2.0),
        ("${env:EMPTY|7}", 7),
        ("${env:EMPTY|x}", ""),
        ("${NONE|x}", "x"),
        ("${PORT|1}", 5433),
        ("${PORT}", "${PORT}"),
        ("${port|1}", "${port|1}"),
        ("http://${env:HOST}:${env:PORT|1}/${env:NONE|'p'}", "http://db.local:5433/p"),
        ("$${env:HOST}", "${env:HOST}"),
        ("a $${b} ${env:HOST}", "a ${b} db.local"),
        ("${env:}", "${env:}"),
        ("$", "$"),
    ],
)
def test_placeholders(text: str, value: Any) -> None:
    found = resolved({"x": text})["x"]
    assert (found, type(found)) == (value, type(value))


def test_everywhere_in_the_data_but_not_in_text_from_files() -> None:
    data = {"a": {"b": ["${env:HOST}", 1]}, "source": "${env:X}", "s": {"source": "${env:X}"}, "readme": "${env:X}"}
    before = repr(data)
    assert resolved(data, ("readme",)) == {**data, "a": {"b": ["db.local", 1]}}
    assert repr(data) == before


def test_siblings() -> None:
    data = {
        "host_env": "HOST",
        "port": 5432,
        "port_env": "PORT",
        "user": "u",
        "user_env": "EMPTY",
        "password_env": "NONE",
        "default_env": {"A": "b"},
        "_env": "HOST",
        "tls": {"key_env": "app.env:key"},
    }
    assert resolved(data) == {
        "host": "db.local",
        "port": 5433,
        "user": "u",
        "password_env": "NONE",
        "default_env": {"A": "b"},
        "_env": "HOST",
        "tls": {"key": "s3"},
    }


def test_what_is_missing_is_listed_with_its_field() -> None:
    data = {"a": "${env:X}", "b": [{"c": "x ${env:Y} ${env:X}"}]}
    _, missing = resolve(data, VARIABLES.get)
    assert missing == [Missing("a", "X"), Missing("b[0].c", "Y"), Missing("b[0].c", "X")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": "${env:HOST|80}"}, 'field "x": variable "HOST" is "db.local", but the field needs an integer'),
        ({"x": "${env:PORT|true}"}, 'field "x": variable "PORT" is "5433", but the field needs true or false'),
        ({"x": 1.5, "x_env": "HOST"}, 'field "x_env": variable "HOST" is "db.local", but the field needs a number'),
    ],
)
def test_values_of_the_wrong_type(data: dict[str, Any], message: str) -> None:
    with pytest.raises(Error) as caught:
        resolve(data, VARIABLES.get)
    assert (caught.value.message, caught.value.kind) == (message, INVALID)


def test_names() -> None:
    data = {"a": "${env:app:x} $${env:no} ${Y|1}", "b": ["${env:Z}", 1], "source": "${env:no}"}
    assert list(names(data)) == ["app:x", "Y", "Z"]


@given(st.text("${}env:|AB \"'1"))
def test_any_text_resolves(text: str) -> None:
    data, missing = resolve({"x": text}, {"A": "1"}.get)
    assert missing or isinstance(data["x"], (str, int, float, bool))


@given(st.text())
def test_escaping_keeps_text(text: str) -> None:
    escaped = text.replace("$", "").replace("{", "$${")
    assert resolve({"x": escaped}, {}.get)[0]["x"] == text.replace("$", "").replace("{", "${")
