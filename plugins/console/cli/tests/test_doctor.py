"""`wippy doctor` and `wippy plugins`."""

from __future__ import annotations

from click.testing import CliRunner

from wippy.__main__ import command_group
from wippy.plugin import EntryPoint, Plugins, scan
from wippy.scheduler import preempt
from wippy.testing import write_app

SICK = """
namespace: app
entries:
  - {name: a, kind: made.up}
  - name: f
    kind: function.lua
    method: main
    source: return function() end
    modules: [made_up, time]
    nonsense: 1
  - {name: s, kind: process.service, process: nowhere, host: s}
  - {name: h, kind: process.host, lifecycle: {stop_timeout: "10"}}
  - {name: e, kind: process.host, lifecycle: {stop_timeout: "${env:NOWHERE}"}}
"""
HEALTHY = "namespace: app\nentries:\n  - {name: f, kind: function.lua, method: main, source: return function() end}\n"
CONFIGURATION = "profiler: {enabled: true}\nmetrics: {bufer: {size: 1}}\n"


def test_it_says_all_that_is_missing_and_how_to_get_it(wippy, tmp_path):
    write_app(tmp_path, {"_index.yaml": SICK, ".wippy.yaml": CONFIGURATION})
    result = wippy("doctor")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == f"preemption: {preempt.REASON}"
    doubtful = lines[lines.index("no effect or doubtful:") + 1 : lines.index("wrong or missing:") - 1]
    assert '  .wippy.yaml:2:11: unknown key "metrics.bufer", did you mean "buffer"?' in doubtful
    assert "  .wippy.yaml:1:12: profiler.enabled has no meaning here" in doubtful
    assert any('app:f (src/_index.yaml:10): unknown field "nonsense"' in line for line in doubtful)
    wrong = lines[lines.index("wrong or missing:") + 1 : -2]
    assert [line.split("(src")[0].strip() for line in wrong] == [
        'no plugin provides kind "made.up" (app:a',
        'no plugin provides module "made_up" (app:f',
        "app:s",
        "app:h",
    ]
    assert lines[-1] == "pip install wippy-plugin-made-up"


def test_what_cannot_be_read_is_said(wippy, tmp_path):
    write_app(tmp_path, {"_index.yaml": "namespace: app\nentries:\n  - name: f\n"})
    result = wippy("doctor", ".", "-p")
    assert result.exit_code == 1
    assert 'entry "app:f" has no kind' in result.output
    assert "--profiler has no effect" in result.output


def test_a_healthy_application(wippy, tmp_path):
    write_app(tmp_path, {"_index.yaml": HEALTHY})
    result = wippy("doctor")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "1 entries, nothing is missing"


def test_plugins_lists_what_is_installed(wippy):
    result = wippy("plugins")
    assert result.exit_code == 0, result.output
    own = result.output[result.output.index("wippy-plugin-cli") :].splitlines()[0].split()
    assert own[2:] == ["commands", "doctor,", "init,", "plugins,", "registry,", "run,", "test,", "version"]
    assert f"preemption: {preempt.REASON}" in result.output


def test_plugins_says_what_does_not_load(monkeypatch):
    broken = EntryPoint("wippy.kinds", "broken.kind", "no_such_package_of_ours:kind", "wippy-plugin-broken", "2.1")
    points = [*scan(), broken]
    monkeypatch.setattr("wippy_plugin_cli.plugins.scan", lambda: points)
    plugins = Plugins(points)
    result = CliRunner().invoke(command_group(plugins), ["plugins"], obj=plugins)
    assert result.exit_code == 1
    assert (
        'plugin wippy-plugin-broken 2.1 failed to load wippy.kinds "broken.kind": ModuleNotFoundError' in result.output
    )
