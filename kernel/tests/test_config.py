"""The runtime configuration: composition, profiles, variables, types, and what is unknown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.config import Config
from wippy.config_keys import FREE, KEYS, Key
from wippy.errors import INVALID, NOT_FOUND, Error
from wippy.units import parse_duration


def load(directory: Path, text: str = "", environ: dict[str, str] | None = None, **options: Any) -> Config:
    if text:
        (directory / ".wippy.yaml").write_text(text)
    return Config.load(directory, environ=environ or {}, **options)


def problems(directory: Path, text: str, **options: Any) -> list[str]:
    with pytest.raises(Error) as caught:
        load(directory, text, **options)
    assert caught.value.kind in (INVALID, NOT_FOUND)
    return caught.value.message.split("\n")


def test_without_a_file_there_are_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.directory == tmp_path
    assert config.get("shutdown.timeout") == "30s"
    assert config.seconds("shutdown.timeout") == 30.0
    assert config.get("otel.propagators") == ["tracecontext", "baggage"]
    assert config.get("registry.history_type", "sqlite") == "sqlite"
    assert config.get("no.such.key") is None
    assert config.get("no.such.key", 5) == 5
    assert config.seconds("no.such.key") == 0.0
    assert (config.section("override"), config.warnings, config.ignored) == ({}, [], [])
    assert Config.load(None, environ={}).get("security.strict_mode") is False


def test_values_of_a_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "version: '1.0'\nsecurity: {strict_mode: true}\nshutdown: {timeout: 1m}\nlua:\n  type_system: {strict: true}\n",
    )
    assert config.get("security.strict_mode") is True
    assert config.seconds("shutdown.timeout") == 60.0
    assert config.get("lua.type_system.strict") is True
    assert config.get("lua.type_system.enabled") is False
    assert config.section("lua") == {"type_system": {"strict": True}}
    assert config.warnings == []


def test_files_merge_left_to_right_and_the_first_is_the_anchor(tmp_path: Path) -> None:
    first = tmp_path / "conf" / "a.yaml"
    first.parent.mkdir()
    first.write_text("logger: {encoding: json}\notel: {enabled: true, propagators: [a, b]}\n")
    second = tmp_path / "b.yaml"
    second.write_text("otel: {propagators: [c], endpoint: x}\nshutdown:\n")
    (tmp_path / ".wippy.yaml").write_text("otel: {endpoint: unused}\n")
    config = Config.load(tmp_path, files=[first, second], environ={})
    assert config.directory == first.parent
    assert config.section("otel") == {"enabled": True, "propagators": ["c"], "endpoint": "x"}
    assert config.get("logger.encoding") == "json"


def test_files_that_are_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"configuration file .*no\.yaml does not exist") as caught:
        Config.load(tmp_path, files=[tmp_path / "no.yaml"])
    assert caught.value.kind == NOT_FOUND
    (tmp_path / ".wippy.yaml").mkdir()
    assert problems(tmp_path, "") == ["configuration file .wippy.yaml cannot be read: Is a directory"]


MANUAL = """\
version: "1.0"
vars:
  port: 8085
override:
  app:db:kind: db.sql.sqlite
  app:gateway:addr: ":${port}"
disable:
  namespaces: ["legacy.**", "old"]
profiles:
  pg:
    vars:
      port: 18085
    override:
      app:db:kind: db.sql.postgres
    disable:
      namespaces.add: ["experimental.**", "old"]
      entries.add: app:x
  lean:
    disable:
      namespaces.remove: [old]
      entries: [app:y]
"""


def test_profiles(tmp_path: Path) -> None:
    base = load(tmp_path, MANUAL)
    assert base.section("override") == {"app:db:kind": "db.sql.sqlite", "app:gateway:addr": ":8085"}
    assert base.section("profiles") == {}
    assert base.warnings == []
    config = load(tmp_path, profiles=["pg"])
    assert config.section("override") == {"app:db:kind": "db.sql.postgres", "app:gateway:addr": ":18085"}
    assert config.section("disable") == {"namespaces": ["legacy.**", "old", "experimental.**"], "entries": ["app:x"]}
    both = load(tmp_path, profiles=["pg", "lean"])
    assert both.section("disable") == {"namespaces": ["legacy.**", "experimental.**"], "entries": ["app:y"]}


def test_a_profile_that_does_not_exist(tmp_path: Path) -> None:
    assert problems(tmp_path, MANUAL, profiles=["prod"]) == ['there is no profile "prod" (declared: lean, pg)']


def test_list_operations_outside_a_profile(tmp_path: Path) -> None:
    config = load(tmp_path, "disable:\n  namespaces.add: [x]\n")
    assert config.warnings == [
        '.wippy.yaml:2:3: unknown key "disable.namespaces.add": list operations belong into a profile'
    ]


def test_settings_come_last(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        MANUAL,
        profiles=["pg"],
        settings=[
            "vars.port=1",
            "cluster.enabled=true",
            "cluster.membership.join_addrs=node-2:7946,node-3:7946",
            "override.app:x:meta.y=2",
            "disable.entries=app:a, app:b",
            "workspace.replacements.acme/http=../http",
        ],
    )
    assert config.get("cluster.enabled") is True
    assert config.get("cluster.membership.join_addrs") == "node-2:7946,node-3:7946"
    assert config.section("override")["app:gateway:addr"] == ":1"
    assert config.section("override")["app:x:meta.y"] == 2
    assert config.get("disable.entries") == ["app:a", "app:b"]
    assert config.section("workspace") == {"replacements": {"acme/http": "../http"}}
    assert config.warnings == []


@pytest.mark.parametrize("setting", ["cluster", "cluster=1", "=1", "cluster.=1"])
def test_a_setting_that_sets_nothing(tmp_path: Path, setting: str) -> None:
    assert problems(tmp_path, "", settings=[setting]) == [f'--set "{setting}": expected section.key=value']


def test_variables(tmp_path: Path) -> None:
    text = """\
vars: {port: 80, host: "h-${port}", key: "${env:KEY}", deep: "${host}:${key}", nothing: ~}
override:
  a:b:whole: ${port}
  a:b:deep: "<${deep}>"
  a:b:escaped: $${port} ${not a name}
  a:b:later: ${NAME|x}
  a:b:list: ["${port}", {x: "${host}"}]
  a:b:empty: "-${nothing}-"
"""
    override = load(tmp_path, text, {"KEY": "${port}"}).section("override")
    assert override == {
        "a:b:whole": 80,
        "a:b:deep": "<h-80:${port}>",
        "a:b:escaped": "${port} ${not a name}",
        "a:b:later": "${NAME|x}",
        "a:b:list": [80, {"x": "h-80"}],
        "a:b:empty": "--",
    }


def test_the_environment(tmp_path: Path) -> None:
    text = """\
override:
  a:b:x: ${env:X}
  a:b:port: ${env:PORT|1}
  a:b:text: ${env:NONE|'7'}
  a:b:mixed: p${env:NONE|'7'}
registry: {history_path: "${env:DIR}/h.db"}
prometheus: {enabled: "${env:ON}", max_cardinality: "${env:PORT}"}
"""
    config = load(tmp_path, text, {"X": "5", "PORT": "80", "DIR": "/d", "ON": "true"})
    assert config.section("override") == {"a:b:x": "5", "a:b:port": 80, "a:b:text": "7", "a:b:mixed": "p7"}
    assert config.get("registry.history_path") == "/d/h.db"
    assert config.section("prometheus") == {"enabled": True, "max_cardinality": 80}


def test_what_cannot_be_resolved(tmp_path: Path) -> None:
    text = """\
vars: {port: 1, a: "${b}", b: "${a}"}
logger:
  encoding: ${env:NONE}
shutdown:
  timeout: ${prt}
override:
  x:y:z: ${a}
profiles: {p: {vars: {v: "${env:HOME}"}}}
"""
    assert problems(tmp_path, text, profiles=["p"]) == [
        ".wippy.yaml:8:23: ${env:...} is not allowed in the vars of a profile: put it into the vars of the file",
        '.wippy.yaml:1:28: the variable "a" refers to itself: a > b > a',
        '.wippy.yaml:1:17: the variable "b" refers to itself: b > a > b',
        '.wippy.yaml:3:3: environment variable "NONE" is not set: set it, or write ${env:NONE|default}',
        '.wippy.yaml:5:3: there is no variable "prt" in vars, did you mean "port"?',
    ]


def test_documented_environment_variables_override_the_file(tmp_path: Path) -> None:
    text = "relay: {node_name: file}\notel: {enabled: true, sample_rate: 1.0}\n"
    environ = {
        "WIPPY_RELAY_NODE_NAME": "second",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_PROPAGATORS": "b3, baggage",
        "OTEL_SDK_DISABLED": "true",
    }
    config = load(tmp_path, text, environ)
    assert config.get("relay.node_name") == "second"
    assert config.get("otel.sample_rate") == 0.25
    assert config.get("otel.propagators") == ["b3", "baggage"]
    assert config.get("otel.enabled") is False
    environ["WIPPY_NODE_ID"] = "first"
    assert load(tmp_path, environ=environ).get("relay.node_name") == "first"
    assert load(tmp_path, environ=environ, settings=["relay.node_name=set"]).get("relay.node_name") == "set"


def test_unknown_and_ignored_keys(tmp_path: Path) -> None:
    text = """\
securty: {strict_mode: true}
security:
  strict_mod: true
otel:
  http:
    enable: true
  proces: {x: 1}
finder:
  query_cache_size: 5
cluster:
  raft: {role: client}
boot: {anything: goes}
"""
    config = load(tmp_path, text, settings=["loger.encoding=json"])
    assert config.warnings == [
        '.wippy.yaml:1:1: unknown section "securty", did you mean "security"?',
        '.wippy.yaml:3:3: unknown key "security.strict_mod", did you mean "strict_mode"?',
        '.wippy.yaml:6:5: unknown key "otel.http.enable", did you mean "enabled"?',
        '.wippy.yaml:7:3: unknown key "otel.proces", did you mean "process"?',
        '--set "loger.encoding=json": unknown section "loger", did you mean "logger"?',
    ]
    assert config.ignored == [
        ".wippy.yaml:9:3: finder.query_cache_size has no meaning here",
        ".wippy.yaml:11:10: cluster.raft.role has no meaning here",
    ]


def test_keys_of_plugins_are_known(tmp_path: Path) -> None:
    key = Key("mail.port", "int")
    config = load(tmp_path, "mail: {port: '25', prt: 1}\n", keys=[key])
    assert config.get("mail.port") == 25
    assert config.warnings == ['.wippy.yaml:1:20: unknown key "mail.prt", did you mean "port"?']


def test_values_of_the_wrong_type(tmp_path: Path) -> None:
    text = """\
security: {strict_mode: yes}
logger: json
shutdown: {timeout: 5 minutes}
metrics: {buffer: {size: big}}
otel: {sample_rate: true, propagators: {a: 1}, service_name: [x]}
prometheus: {max_cardinality: 1.5}
workspace: {replacements: [a]}
vars: 5
"""
    assert problems(tmp_path, text) == [
        ".wippy.yaml:1:12: security.strict_mode must be true or false, got 'yes'",
        ".wippy.yaml:2:1: logger must be a mapping, got 'json'",
        '.wippy.yaml:3:12: shutdown.timeout is wrong: "5 minutes" is not a duration: expected text like "1h30m", '
        '"1.5s" or "500ms"',
        ".wippy.yaml:4:20: metrics.buffer.size must be an integer, got 'big'",
        ".wippy.yaml:5:8: otel.sample_rate must be a number, got True",
        ".wippy.yaml:5:27: otel.propagators must be a list of texts, got {'a': 1}",
        ".wippy.yaml:5:48: otel.service_name must be text, got ['x']",
        ".wippy.yaml:6:14: prometheus.max_cardinality must be an integer, got 1.5",
        ".wippy.yaml:7:13: workspace.replacements must be a mapping, got ['a']",
        ".wippy.yaml:8:1: vars must be a mapping, got 5",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", ".wippy.yaml:1:1: a configuration is a mapping of sections"),
        ("a: [\n", ".wippy.yaml:2:1: YAML does not parse: did not find expected node content"),
        ("profiles: [a]\n", '.wippy.yaml:1:1: "profiles" must be a mapping of names to sections'),
        ("profiles: {a: 1}\n", '.wippy.yaml:1:1: "profiles" must be a mapping of names to sections'),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    assert problems(tmp_path, text) == [message]


def test_the_table_is_sound() -> None:
    for path, key in KEYS.items():
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", path)
        assert key.type in ("bool", "int", "float", "string", "strings", "duration", "map")
        if key.type == "duration":
            parse_duration(key.default)
        elif key.default is not None:
            wanted = {"bool": bool, "int": int, "float": float, "string": str, "strings": tuple}[key.type]
            assert type(key.default) is wanted
        assert not any(other.startswith(f"{path}.") for other in KEYS), f"{path} is both a key and a section"
    assert not set(FREE) & {path.split(".")[0] for path in KEYS}


@given(st.lists(st.text(), max_size=3))
def test_any_setting_is_taken_or_refused(settings: list[str]) -> None:
    try:
        config: Config | str = Config.load(None, settings=settings, environ={})
    except Error as error:
        config = error.kind
    assert config == INVALID or isinstance(config, Config)


@pytest.mark.parametrize("profile", ["vars: 5", "disable: 5", "override: 5", "logger: 5"])
def test_a_profile_with_nonsense(tmp_path: Path, profile: str) -> None:
    (found,) = problems(tmp_path, f"profiles:\n  p: {{{profile}}}\n", profiles=["p"])
    assert found == f".wippy.yaml:2:7: {profile.split(':')[0]} must be a mapping, got 5"
