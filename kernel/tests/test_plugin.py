"""The door: what is found, what is said when something is missing or broken."""

from __future__ import annotations

import logging
import sys
import types

import pytest

from wippy.app import App
from wippy.errors import INTERNAL, NOT_FOUND, Error
from wippy.kind import Kind
from wippy.plugin import EntryPoint, Plugins, hookimpl, scan
from wippy.registry.entry import Entry, Place


class Plain(Kind):
    """A kind that accepts everything."""

    open_data = True


@pytest.fixture
def module(monkeypatch):
    """A module of its own to point at."""
    made = types.ModuleType("wippy_test_plugin")
    made.Plain = Plain
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def point(group, name, attribute, distribution="wippy-plugin-test"):
    return EntryPoint(group, name, f"wippy_test_plugin:{attribute}", distribution, "1.0")


def test_a_missing_kind_says_what_to_install():
    with pytest.raises(Error) as caught:
        Plugins([]).load("wippy.kinds", "db.sql.oracle", "app:db (src/_index.yaml:12)")
    assert caught.value.kind == NOT_FOUND
    assert str(caught.value) == (
        'no plugin provides kind "db.sql.oracle" (app:db (src/_index.yaml:12)): pip install wippy-plugin-db-sql-oracle'
    )


def test_what_the_catalogue_knows_is_named_by_it():
    with pytest.raises(Error, match=r"pip install wippy-plugin-process$"):
        Plugins([]).load("wippy.kinds", "process.host")


def test_a_plugin_that_fails_to_import_is_named_with_its_cause_and_takes_no_other_down(module):
    broken = EntryPoint("wippy.kinds", "broken", "wippy_no_such_module:Kind", "wippy-plugin-broken", "2.0")
    plugins = Plugins([broken, point("wippy.kinds", "plain", "Plain")])
    assert plugins.load("wippy.kinds", "plain") is Plain
    with pytest.raises(Error) as caught:
        plugins.load("wippy.kinds", "broken")
    assert caught.value.kind == INTERNAL
    for word in ("wippy-plugin-broken 2.0", 'wippy.kinds "broken"', "ModuleNotFoundError", "wippy_no_such_module"):
        assert word in str(caught.value)
    assert [failure.point for failure in plugins.failures] == [broken]


async def test_a_broken_plugin_stops_only_the_app_that_needs_it(module):
    broken = EntryPoint("wippy.kinds", "broken", "wippy_no_such_module:Kind", "wippy-plugin-broken", "2.0")
    points = [broken, point("wippy.kinds", "plain", "Plain")]
    async with App(None, plugins=Plugins(points), entries=[Entry("app:a", "plain", data={"x": 1})]) as app:
        assert app.registry.get("app:a").data == {"x": 1}
    with pytest.raises(Error, match="wippy-plugin-broken"):
        async with App(None, plugins=Plugins(points), entries=[Entry("app:b", "broken")]):
            pass


async def test_everything_that_is_missing_is_said_at_once(module):
    entries = [Entry("app:a", "one.kind"), Entry("app:b", "two.kind", place=Place("src/_index.yaml", 4))]
    with pytest.raises(Error) as caught:
        async with App(None, plugins=Plugins([]), entries=entries):
            pass
    assert "one.kind" in str(caught.value)
    assert "src/_index.yaml:4" in str(caught.value)


def test_two_distributions_with_one_kind_are_both_named(module):
    plugins = Plugins([point("wippy.kinds", "plain", "Plain"), point("wippy.kinds", "plain", "Plain", "other")])
    with pytest.raises(Error, match="wippy-plugin-test and other"):
        plugins.load("wippy.kinds", "plain")


def test_async_hooks_are_rejected_and_reported(module):
    class Hooks:
        @hookimpl
        async def app_started(self, app):
            raise AssertionError("never runs")

    module.hooks = Hooks()
    plugins = Plugins([point("wippy.hooks", "h", "hooks")])
    plugins.load_hooks()
    assert "async" in plugins.failures[0].cause


async def test_hooks_fire_in_the_order_of_life(module):
    log = []

    class Listener(logging.Handler):
        def emit(self, record):
            log.append(record.getMessage())

    class Hooks:
        @hookimpl
        def app_created(self, app):
            log.append("created")

        @hookimpl
        def entries_loaded(self, app, entries):
            log.append("loaded")
            return [Entry("app:more", "plain")]

        @hookimpl
        def app_started(self, app):
            log.append("started")

        @hookimpl
        def app_stopping(self, app):
            log.append("stopping")

        @hookimpl
        def function_interceptors(self, app):
            return [self]

        @hookimpl
        def log_sinks(self, app):
            return [Listener()]

        @hookimpl
        def metric_sinks(self, app):
            return [self]

        async def around(self, call, proceed):
            log.append(f"call {call.function}")
            return await proceed(call)

    module.hooks = Hooks()
    points = [point("wippy.hooks", "h", "hooks"), point("wippy.kinds", "plain", "Plain")]
    async with App(None, plugins=Plugins(points)) as app:
        assert app.registry.lookup("app:more") is not None
        assert app.metric_sinks == [module.hooks]
        logging.getLogger("wippy").warning("heard")
        with pytest.raises(Error, match="app:nothing"):
            await app.call("app:nothing")
    logging.getLogger("wippy").warning("not heard")
    assert log == ["created", "loaded", "started", "heard", "call app:nothing", "stopping"]


def test_scan_reads_dist_info_and_the_first_on_the_path_wins(tmp_path):
    for place, target in (("a", "first:x"), ("b", "second:x")):
        info = tmp_path / place / "wippy_plugin_x-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text(
            f"[console_scripts]\nx = x:y\n\n[wippy.kinds]\n# a comment\nmy.kind = {target}\n[wippy.mine]\na/b = c:d\n"
        )
    found = scan([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "missing")])
    assert [(p.group, p.name, p.target, p.distribution, p.version) for p in found] == [
        ("wippy.kinds", "my.kind", "first:x", "wippy-plugin-x", "1.2"),
        ("wippy.mine", "a/b", "c:d", "wippy-plugin-x", "1.2"),
    ]
