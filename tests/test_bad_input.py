"""Bad input from outside: each mistake is one clear error that says what, where and what to do, and nothing runs on."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading

import pytest

from wippy.app import App
from wippy.errors import Error
from wippy.testing import write_app

HEAD = 'version: "1.0"\nnamespace: app\nentries:\n'
FUNCTION = "  - name: f\n    kind: function.lua\n    method: main\n    source: file://f.lua\n"
GOOD = "return function() return 1 end\n"

#: What is wrong: the files, and a pattern of the one line that says so.
MISTAKES = {
    "YAML that does not parse": (
        {"_index.yaml": "namespace: app\nentries:\n  - name: [f\n"},
        r"src/_index\.yaml:\d+:\d+: YAML does not parse: .+",
    ),
    "a tab as indentation": (
        {"_index.yaml": "namespace: app\nentries:\n\t- name: f\n"},
        r"src/_index\.yaml:3:1: YAML does not parse: .+",
    ),
    "no kind": (
        {"_index.yaml": HEAD + "  - name: f\n    method: main\n"},
        r'src/_index\.yaml:4:\d+: entry "app:f" has no kind',
    ),
    "no name": (
        {"_index.yaml": HEAD + "  - kind: function.lua\n"},
        r"src/_index\.yaml:4:\d+: an entry has no name",
    ),
    "a misspelt kind field": (
        {"_index.yaml": HEAD + "  - name: f\n    kin: function.lua\n"},
        r'src/_index\.yaml:4:\d+: entry "app:f" has no kind, but "kin": is that a misspelling\?',
    ),
    "a kind that nothing provides": (
        {"_index.yaml": HEAD + "  - name: f\n    kind: made.up\n"},
        r'no plugin provides kind "made\.up" \(app:f \(src/_index\.yaml:5\)\): pip install wippy-plugin-made-up',
    ),
    "a module that nothing provides": (
        {"_index.yaml": HEAD + FUNCTION + "    modules: [made_up]\n", "f.lua": GOOD},
        r'no plugin provides module "made_up" \(app:f \(src/_index\.yaml:\d+\)\): pip install wippy-plugin-made-up',
    ),
    "an id twice": (
        {"_index.yaml": HEAD + FUNCTION + FUNCTION, "f.lua": GOOD},
        r'src/_index\.yaml:8: entry "app:f" is defined already at src/_index\.yaml:4',
    ),
    "an id in two files": (
        {"_index.yaml": HEAD + FUNCTION, "more.yaml": HEAD + FUNCTION, "f.lua": GOOD},
        r'src/more\.yaml:4: entry "app:f" is defined already at src/_index\.yaml:4',
    ),
    "a source file that is not there": (
        {"_index.yaml": HEAD + FUNCTION},
        r'src/_index\.yaml:7: entry "app:f", field "source": file://f\.lua: there is no file src/f\.lua',
    ),
    "a source file outside the application": (
        {"_index.yaml": HEAD + FUNCTION.replace("f.lua", "../../f.lua")},
        r'src/_index\.yaml:7: entry "app:f", field "source": file://\.\./\.\./f\.lua lies outside the source directory src',
    ),
    "a reference to nothing": (
        {
            "_index.yaml": HEAD
            + "  - name: processes\n    kind: process.host\n"
            + "  - name: s\n    kind: process.service\n    process: nowhere\n    host: processes\n"
        },
        r'app:s \(src/_index\.yaml:8\): field "process" refers to app:nowhere, which does not exist',
    ),
    "an import of nothing": (
        {"_index.yaml": HEAD + FUNCTION + "    imports: {words: app:words}\n", "f.lua": GOOD},
        r'app:f \(src/_index\.yaml:8\): field "imports\.words" refers to app:words, which does not exist',
    ),
    "Lua that does not parse": (
        {"_index.yaml": HEAD + FUNCTION, "f.lua": "local x = 1\nreturn function( end\n"},
        r"app:f \(src/_index\.yaml:\d+\): src/f\.lua:2: .+",
    ),
    "a value of the wrong type": (
        {"_index.yaml": HEAD + FUNCTION.replace("main", "[main]"), "f.lua": GOOD},
        r"app:f \(src/_index\.yaml:6\): field `method`: expected `str`, got `array`",
    ),
    "a duration without a unit": (
        {"_index.yaml": HEAD + '  - name: h\n    kind: process.host\n    lifecycle: {stop_timeout: "10"}\n'},
        r'app:h \(src/_index\.yaml:6\): field `lifecycle\.stop_timeout`: duration "10" has no unit: write "10s" for seconds',
    ),
    "an environment variable that nothing defines": (
        {"_index.yaml": HEAD + FUNCTION.replace("main", "${env:NOWHERE}"), "f.lua": GOOD},
        r'app:f \(src/_index\.yaml:6\): field "method": environment variable "NOWHERE" is not defined.*',
    ),
    "a source directory that is not there": (
        {"wippy.lock": "directories: {src: ./elsewhere}\n", "_index.yaml": HEAD},
        r"wippy\.lock: the source directory elsewhere does not exist",
    ),
    "a lock that does not parse": (
        {"wippy.lock": "directories: [\n", "_index.yaml": HEAD},
        r"wippy\.lock:2:1: YAML does not parse: .+",
    ),
    "a configuration that does not parse": (
        {".wippy.yaml": "logger: [\n", "_index.yaml": HEAD},
        r"\.wippy\.yaml:2:1: YAML does not parse: .+",
    ),
    "a setting of the wrong type": (
        {".wippy.yaml": "process:\n  mailbox_limit: many\n", "_index.yaml": HEAD},
        r"\.wippy\.yaml:2:3: process\.mailbox_limit must be an integer, got 'many'",
    ),
    "a package that is not installed": (
        {"_index.yaml": HEAD + '  - name: d\n    kind: ns.dependency\n    component: acme/none\n    version: "*"\n'},
        r'no plugin provides package "acme/none" \(app:d \(src/_index\.yaml:6\)\): pip install wippy-package-acme-none.+',
    ),
    "a requirement that nobody fulfils": (
        {"_index.yaml": HEAD + "  - name: r\n    kind: ns.requirement\n    targets: []\n"},
        r'app:r \(src/_index\.yaml:4\): requirement "r" has no value and no default: give it a default, or .+',
    ),
}


async def mistake(directory, files) -> str:
    write_app(directory, files)
    with pytest.raises(Error) as caught:
        async with App(directory):
            pass
    return caught.value.message


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_is_one_clear_error(tmp_path, name):
    files, pattern = MISTAKES[name]
    message = await mistake(tmp_path, files)
    assert re.fullmatch(pattern, message), message
    assert str(tmp_path) not in message


async def test_all_mistakes_of_reading_are_said_at_once(tmp_path):
    files = {
        "_index.yaml": HEAD + FUNCTION + "  - name: g\n",
        "broken.yaml": "namespace: app\nentries: [\n",
    }
    message = await mistake(tmp_path, files)
    assert len(message.split("\n")) == 3
    assert "f.lua" in message
    assert '"app:g" has no kind' in message
    assert "src/broken.yaml:" in message


async def test_all_kinds_that_are_missing_are_said_at_once(tmp_path):
    entries = "".join(f"  - name: e{i}\n    kind: made.up{i}\n" for i in range(3))
    message = await mistake(tmp_path, {"_index.yaml": HEAD + entries})
    assert re.findall(r"pip install (\S+)", message) == [f"wippy-plugin-made-up{i}" for i in range(3)]


async def test_after_a_mistake_nothing_is_left_running(tmp_path):
    before = set(threading.enumerate())
    service = "    kind: process.service\n    process: p\n    host: processes\n    lifecycle: {auto_start: true}\n"
    entries = (
        "  - name: processes\n    kind: process.host\n    host: {max_processes: 1}\n"
        "  - name: p\n    kind: process.lua\n    method: main\n"
        "    source: return {main = function() process.events():receive() end}\n"
        f"  - name: one\n{service}  - name: two\n{service}"
    )
    message = await mistake(tmp_path, {"_index.yaml": HEAD + entries})
    assert message == "host app:processes is full (max_processes)"
    assert set(threading.enumerate()) == before


async def test_a_port_in_use_is_named(tmp_path):
    pytest.importorskip("wippy_plugin_http")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        entry = f"  - name: gateway\n    kind: http.service\n    addr: 127.0.0.1:{port}\n"
        message = await mistake(tmp_path, {"_index.yaml": HEAD + entry + "    lifecycle: {auto_start: true}\n"})
    assert "app:gateway" in message
    assert str(port) in message
    assert re.search("in use", message, re.IGNORECASE)
    assert "\n" not in message


async def test_a_database_that_cannot_be_read_is_named(tmp_path):
    pytest.importorskip("wippy_plugin_sqlite")
    (tmp_path / "not.db").write_bytes(b"this is no database" * 100)
    entry = "  - name: db\n    kind: db.sql.sqlite\n    file: not.db\n    lifecycle: {auto_start: true}\n"
    message = await mistake(tmp_path, {"_index.yaml": HEAD + entry})
    assert "app:db" in message
    assert "not.db" in message
    assert "not a database" in message


async def test_a_damaged_history_is_named(tmp_path):
    files = {"_index.yaml": HEAD, ".wippy.yaml": "registry: {history_type: sqlite, history_path: broken.db}\n"}
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 100)
    message = await mistake(tmp_path, files)
    assert "broken.db is damaged" in message
    assert "restore it from a backup" in message


def wippy(directory, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "wippy", *arguments], cwd=directory, capture_output=True, text=True, timeout=30
    )


def test_the_command_line_prints_it_without_traceback_and_fails(tmp_path):
    files, pattern = MISTAKES["Lua that does not parse"]
    write_app(tmp_path, files)
    run = wippy(tmp_path, "run")
    assert run.returncode == 1
    assert re.fullmatch(f"error: {pattern}\n", run.stderr), run.stderr
    assert run.stdout == ""


def test_the_command_line_prints_a_line_for_each_problem(tmp_path):
    write_app(tmp_path, {"_index.yaml": HEAD + "  - name: f\n  - name: g\n"})
    run = wippy(tmp_path, "run", "--silent")
    assert run.returncode == 1
    lines = run.stderr.splitlines()
    assert lines[0] == "error: 2 problems:"
    assert [line.split(": ")[1] for line in lines[1:]] == ['entry "app:f" has no kind', 'entry "app:g" has no kind']
