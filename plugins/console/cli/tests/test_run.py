"""`wippy run` and `wippy test`: applications, their commands, exit codes and signals."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import pytest

from wippy.errors import Error
from wippy.testing import write_app

INDEX = """
version: "1.0"
namespace: app
entries:
  - {name: terminal, kind: terminal.host}
  - name: greet
    kind: process.lua
    meta: {command: {name: greet, short: Greet the user}}
    method: main
    source: |
      return {main = function(...)
        local words = {...}
        return #words == 2 and words[1] == "Ann" and words[2] == "--loud" and 7 or 1
      end}
  - name: fails
    kind: process.lua
    meta: {command: {name: fails}}
    method: main
    source: return {main = function() error("no good") end}
  - name: waits
    kind: process.lua
    meta: {command: {name: waits}}
    method: main
    modules: [logger]
    source: |
      return {main = function()
        require("logger"):error("waiting")
        process.events():receive()
        return 9
      end}
  - name: many
    kind: process.lua
    meta: {command: {name: many}}
    method: main
    source: return {main = function() return 256 end}
"""


@pytest.fixture
def app(tmp_path):
    return write_app(tmp_path, {"_index.yaml": INDEX})


def message(result) -> str:
    assert isinstance(result.exception, Error), (result.exception, result.output)
    return result.exception.message


def test_the_list_of_commands_is_that_of_the_manual(wippy, app):
    result = wippy("run", "list")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "Available commands:",
        "",
        "  fails                  (app:fails)",
        "  greet  Greet the user  (app:greet)",
        "  many                   (app:many)",
        "  waits                  (app:waits)",
        "",
        "Run with: wippy run <command>",
    ]


def test_a_command_gets_its_arguments_and_gives_the_exit_code(wippy, app, runs):
    result = wippy("run", "greet", "Ann", "--loud", "-m", "64M")
    assert result.exit_code == 7
    assert runs == [("app:greet", ["Ann", "--loud"], {})]
    assert wippy("run", "greet", "--", "-v").exit_code == 1
    assert runs[-1] == ("app:greet", ["-v"], {})


def test_a_directory_stands_before_the_command(wippy, app, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    assert wippy("run", f"./{tmp_path.name}", "greet", "Ann", "--loud").exit_code == 7
    assert wippy("run", tmp_path.name, "-x", "app:greet", "Ann", "--loud").exit_code == 7


def test_exec_runs_any_process(wippy, app, runs):
    assert wippy("run", "-x", "app:greet", "--host", "app:terminal", "Ann", "--loud").exit_code == 7
    assert runs == [("app:greet", ["Ann", "--loud"], {})]


def test_what_does_not_fit_eight_bits_is_no_success(wippy, app):
    assert wippy("run", "many").exit_code == 1


def test_a_process_that_fails_fails_the_command(wippy, app):
    assert "no good" in message(wippy("run", "fails"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "gret"), 'there is no command "gret", did you mean "greet"?'),
        (("run", "-x", "app:none"), "process app:none not found"),
        (
            ("run", "-x", "app:greet", "--host", "app:greet"),
            '--host "app:greet": there is no entry of kind terminal.host',
        ),
        (("run", "-o", "app:terminal:kind=registry.entry", "greet"), "no terminal host found"),
        (("run", "old.wapp"), "packs cannot be run"),
        (("run", "acme/http"), "there is no such directory; packages are installed with pip"),
        (("run", "-m", "lots"), '"lots" is not a size'),
        (("run", "--profile", "prod"), 'there is no profile "prod"'),
        (("run", "--config", "none.yaml"), "none.yaml does not exist"),
        (("run", "--set", "logger.encoding=xml"), 'logger.encoding is "xml"'),
        (("run", "--set", "logmanager.min_level=7"), "logmanager.min_level is 7"),
        (("run", "-o", "app:none:x=1"), "there is no such entry"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_run_is_said(wippy, app, arguments, words):
    result = wippy(*arguments)
    assert words in message(result)
    assert result.exit_code == 1


def test_an_unknown_flag_is_wrong_usage(wippy, app):
    result = wippy("run", "--nonsense")
    assert result.exit_code == 2
    assert "--nonsense" in result.output


def test_two_terminal_hosts_need_a_choice(wippy, tmp_path):
    write_app(tmp_path, {"_index.yaml": INDEX + "  - {name: other, kind: terminal.host}\n"})
    assert "choose with --host: app:other, app:terminal" in message(wippy("run", "many"))


def test_nothing_to_run_is_said(wippy):
    assert "`wippy init NAME` makes an application" in message(wippy("run"))


def test_the_main_command_runs_when_none_is_named(wippy, tmp_path):
    main = INDEX.replace("short: Greet the user", "main: true")
    write_app(tmp_path, {"_index.yaml": main})
    assert wippy("run").exit_code == 1  # no arguments
    write_app(tmp_path, {"_index.yaml": main.replace("name: fails}", "name: fails, main: true}")})
    assert message(wippy("run")) == "app:fails, app:greet are marked main; mark one, or name the one to run"


def test_the_security_of_a_command_is_given_and_checked(wippy, tmp_path, runs):
    def with_security(text):
        write_app(tmp_path, {"_index.yaml": INDEX.replace("name: many}", f"name: many, security: {text}}}")})

    with_security("{actor: {id: root, meta: {role: operator}}, policies: [terminal]}")
    wippy("run", "many")
    actor = {"id": "root", "meta": {"role": "operator"}}
    assert runs == [("app:many", [], {"security": {"actor": actor, "policies": ["app:terminal"]}})]
    for text, words in [
        ("{policies: [none]}", "policy app:none not found"),
        ("{}", "security is empty"),
        ("null", "security is empty"),
        ("{roles: [x]}", "unknown field `roles`"),
    ]:
        with_security(text)
        assert words in message(wippy("run", "many"))
    assert len(runs) == 1


def test_the_test_command(wippy, tmp_path, runs):
    write_app(tmp_path, {"_index.yaml": INDEX})
    assert "nothing to test" in message(wippy("test"))
    write_app(tmp_path, {"_index.yaml": INDEX.replace("name: many", "name: test")})
    assert wippy("test", ".", "fast").exit_code == 1
    assert runs[-1] == ("app:test", ["fast"], {})
    write_app(tmp_path, {"_index.yaml": INDEX.replace("name: greet, ", "name: greet, use_case: test, ")})
    wippy("test")
    assert runs[-1] == ("app:greet", [], {})
    assert "greet" not in wippy("run", "list").output


def test_logs_of_a_command_are_errors_unless_the_host_hides_them(wippy, app, monkeypatch):
    ended = _interrupts(monkeypatch)
    assert "ERROR app:waits  waiting" in wippy("run", "waits").stderr
    assert wippy("run", "waits", "-s").stderr == ""
    assert wippy("run", "waits", "-o", "app:terminal:hide_logs=true").stderr == ""
    assert len(ended) == 3


def test_an_interrupted_command_may_still_give_its_code(wippy, app, monkeypatch):
    _interrupts(monkeypatch)
    assert wippy("run", "waits").exit_code == 9


def test_an_interrupted_command_that_gives_none_ends_with_that_of_the_signal(wippy, tmp_path, monkeypatch):
    write_app(tmp_path, {"_index.yaml": INDEX.replace("return 9", "return nil")})
    _interrupts(monkeypatch, terminate=True)
    assert wippy("run", "waits").exit_code == 143


def _interrupts(monkeypatch, terminate=False):
    """Send this program a signal as soon as a process says that it waits."""
    seen = []

    class Interrupting(logging.Filter):
        def filter(self, record):
            if record.getMessage() == "waiting":
                seen.append(record)
                os.kill(os.getpid(), signal.SIGTERM if terminate else signal.SIGINT)
            return True

    monkeypatch.setattr(logging.getLogger("wippy"), "filters", [Interrupting()])
    return seen


PLACE = """
namespace: app
entries:
  - {name: processes, kind: process.host, lifecycle: {auto_start: true}}
  - name: stubborn
    kind: process.lua
    meta: {try: ["echo hello"]}
    method: main
    modules: [logger]
    source: |
      return {main = function()
        process.events():receive()
        require("logger"):info("told to end")
        process.inbox():receive()
      end}
  - name: service
    kind: process.service
    process: stubborn
    host: processes
    lifecycle: {auto_start: true, stop_timeout: 30s}
"""


def _until(program, words):
    for line in program.stdout:
        if words in line:
            return line
    raise AssertionError(f"it never said {words}")


def _start(directory):
    return subprocess.Popen(
        [sys.executable, "-m", "wippy", "-c", "run", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_service_drains_on_the_first_signal_and_ends_with_0(tmp_path):
    write_app(tmp_path, {"_index.yaml": PLACE.replace("process.inbox():receive()", "return 1")})
    with _start(tmp_path) as program:
        try:
            assert "echo hello" in _until(program, "echo hello")
            _until(program, "Ctrl-C stops it.")
            program.send_signal(signal.SIGTERM)
            assert "told to end" in program.stdout.read()
            assert program.wait(20) == 0
        finally:
            program.kill()


def test_a_second_signal_ends_at_once(tmp_path):
    write_app(tmp_path, {"_index.yaml": PLACE})
    with _start(tmp_path) as program:
        try:
            _until(program, "Ctrl-C stops it.")
            program.send_signal(signal.SIGINT)
            _until(program, "told to end")
            program.send_signal(signal.SIGINT)
            assert program.wait(20) == 130
        finally:
            program.kill()


def test_what_does_not_stop_within_the_timeout_is_given_up(tmp_path):
    write_app(tmp_path, {"_index.yaml": PLACE, ".wippy.yaml": "shutdown: {timeout: 10ms}\n"})
    with _start(tmp_path) as program:
        try:
            _until(program, "Ctrl-C stops it.")
            program.send_signal(signal.SIGINT)
            assert "shutdown took more than 0.01 s; still running: app:processes, app:service" in program.stdout.read()
            assert program.wait(20) == 1
        finally:
            program.kill()


def test_a_program_on_the_real_terminal(tmp_path):
    """The manual's tutorials/cli, with input and arguments."""
    pytest.importorskip("wippy_plugin_terminal")
    index = """
namespace: app
entries:
  - {name: terminal, kind: terminal.host, lifecycle: {auto_start: true}}
  - name: cli
    kind: process.lua
    meta: {command: {name: greet}}
    method: main
    modules: [io]
    source: |
      local io = require("io")
      return {main = function()
        io.print("Hello, " .. io.readline() .. io.args()[1])
        return 3
      end}
"""
    write_app(tmp_path, {"_index.yaml": index})
    command = [sys.executable, "-m", "wippy", "run", "greet", "!"]
    done = subprocess.run(command, cwd=tmp_path, input="Ann\n", capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr, done.returncode) == ("Hello, Ann!\n", "", 3)
