"""The door of the command line: what it imports, and what it says where something is not there."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from wippy.__main__ import command_group, main
from wippy.errors import Error
from wippy.plugin import EntryPoint, Plugins, scan

BROKEN = EntryPoint("wippy.commands", "broken", "no_such_package_of_ours:command", "wippy-plugin-broken", "2.1")


def test_running_imports_only_what_run_needs(tmp_path):
    code = (
        "import sys; from wippy.__main__ import main\n"
        "try: main(['run', 'list'])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert "wippy_plugin_cli.run" in loaded
    assert not loaded & {"rich", "importlib.metadata", "wippy_plugin_cli.registry", "wippy_plugin_cli.doctor", "anyio"}
    assert not {m.partition(".")[0] for m in loaded if m.startswith("wippy_plugin")} - {"wippy_plugin_cli"}


def test_help_names_every_command_and_those_that_do_not_load():
    plugins = Plugins([*scan(), BROKEN])
    result = CliRunner().invoke(command_group(plugins), ["--help"], obj=plugins)
    assert result.exit_code == 0
    for name in ("run", "test", "init", "registry", "plugins", "doctor", "version"):
        assert f"\n  {name} " in result.output
    assert "not available: plugin wippy-plugin-broken 2.1 failed to load" in " ".join(result.output.split())


def test_a_command_that_does_not_load_says_why():
    plugins = Plugins([BROKEN])
    result = CliRunner().invoke(command_group(plugins), ["broken"], obj=plugins)
    assert isinstance(result.exception, Error)
    assert result.exception.message == (
        'plugin wippy-plugin-broken 2.1 failed to load wippy.commands "broken": '
        "ModuleNotFoundError: No module named 'no_such_package_of_ours'"
    )


def test_without_any_command_it_says_what_to_install():
    with pytest.raises(Error, match="pip install wippy-plugin-cli"):
        command_group(Plugins([]))


def test_without_click_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(Error, match="needs click: pip install wippy-plugin-cli"):
        command_group(Plugins([BROKEN]))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["version", "--short"], 0, "0."),
        (["--version"], 0, "Lua 5.4"),
        (["-v", "--config", "none.yaml", "run"], 1, "error: configuration file none.yaml does not exist"),
        (["-m", "1x", "run"], 1, 'error: "1x" is not a size'),
        (["nonsense"], 2, "No such command"),
        ([], 2, "Usage: wippy"),
    ],
)
def test_exit_codes_of_the_program(capsys, arguments, code, words):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    said = capsys.readouterr()
    assert words in said.out + said.err
    assert "Traceback" not in said.err
