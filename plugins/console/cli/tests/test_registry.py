"""`wippy registry`: entries of files and of a history, without running anything."""

from __future__ import annotations

import asyncio
import json

import pytest
import yaml

from wippy.app import App
from wippy.errors import Error
from wippy.registry.change import Op, Operation
from wippy.testing import function, write_app

INDEX = """
namespace: app
entries:
  - name: one
    kind: function.lua
    meta: {type: api, enabled: true, order: 3, tags: [red, blue], nested: {level: high}}
    source: return function() return 1 end
    method: main
  - {name: two, kind: registry.entry, meta: {type: page, path: /api/two}, text: "hello"}
  - {name: "a:b", kind: registry.entry, list: [1, 2]}
"""


@pytest.fixture
def app(tmp_path):
    return write_app(
        tmp_path,
        {"_index.yaml": INDEX, "more.yaml": "namespace: app.sub\nentries:\n  - {name: x, kind: registry.entry}\n"},
    )


def ids(result) -> list[str]:
    assert result.exit_code == 0, result.exception
    return [line.split()[0] for line in result.output.splitlines()[1:]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["app.sub:x", "app:a:b", "app:one", "app:two"]),
        (("--kind", "function.*"), ["app:one"]),
        (("--ns", "app.*"), ["app.sub:x"]),
        (("--name", "t*"), ["app:two"]),
        (("--meta", "type=api"), ["app:one"]),
        (("--meta", "enabled=true", "--meta", "order=3"), ["app:one"]),
        (("--meta", "type~^pa"), ["app:two"]),
        (("--meta", "path*api"), ["app:two"]),
        (("--meta", "path^/api"), ["app:two"]),
        (("--meta", "path$two"), ["app:two"]),
        (("--meta", "tags=blue"), ["app:one"]),
        (("--meta", "nested.level=high"), ["app:one"]),
        (("--meta", "type=none"), []),
        (("-o", "app:two:meta.type=api", "--meta", "type=api"), ["app:one", "app:two"]),
    ],
)
def test_list(wippy, app, arguments, expected):
    assert ids(wippy("registry", "list", *arguments)) == expected


@pytest.mark.parametrize("arguments", [("--meta", "type"), ("--meta", "type~("), ("--registry-meta",)])
def test_wrong_usage_of_list(wippy, app, arguments):
    assert wippy("registry", "list", *arguments).exit_code == 2


def test_list_as_data(wippy, app):
    records = json.loads(wippy("registry", "list", "--name", "two", "--json", "--registry-meta").output)
    expected = {
        "id": "app:two",
        "kind": "registry.entry",
        "meta": {"type": "page", "path": "/api/two"},
        "data": {"text": "hello"},
    }
    assert records == [{**expected, "registry_meta": {"owner": "", "root": True}}]
    assert yaml.safe_load(wippy("registry", "list", "--name", "two", "--yaml").output) == [expected]


def test_find(wippy, app):
    assert ids(wippy("registry", "find", "meta.type=api")) == ["app:one"]
    assert ids(wippy("registry", "find", "meta.enabled=true", ".kind=function.*")) == ["app:one"]
    assert ids(wippy("registry", "find", "~meta.path=^/api")) == ["app:two"]
    assert wippy("registry", "find", "meta.type").exit_code == 2


def test_show(wippy, app):
    shown = wippy("registry", "show", "app:a:b").output
    assert shown.startswith("# src/_index.yaml:10\n")
    assert yaml.safe_load(shown)["data"] == {"list": [1, 2]}
    assert json.loads(wippy("registry", "show", "app:one", "--json").output)["meta"]["order"] == 3
    assert wippy("registry", "show", "app:one", "-f", "source", "--raw").output == "return function() return 1 end\n"
    assert wippy("registry", "show", "app:one", "-f", "meta.nested", "--raw").output == '{"level":"high"}\n'
    assert wippy("registry", "show", "app:two", "-f", "kind").output == "registry.entry\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "app:none"), 'entry "app:none" not found'),
        (("show", "app:one", "-f", "meta.none"), 'entry "app:one" has no field "meta.none"'),
        (("history",), "no versions are kept: set registry.history_type to sqlite"),
        (("diff",), "no versions are kept"),
        (("list", "-l", "other.lock"), "the file must have the name wippy.lock"),
    ],
)
def test_what_is_not_there(wippy, app, arguments, words):
    result = wippy("registry", *arguments)
    assert isinstance(result.exception, Error)
    assert words in result.exception.message


def test_history_and_differences(wippy, app, tmp_path):
    (tmp_path / ".wippy.yaml").write_text("registry: {history_type: sqlite}\n")
    assert isinstance(wippy("registry", "history").exception, Error)
    assert not (tmp_path / ".wippy").exists()

    async def run():
        async with App(tmp_path) as app:
            before = app.registry.get("app:one")
            after = function("app:one", "return function() return 2 end")
            await app.registry.apply([Operation(Op.UPDATE, after, before)])
            await app.registry.apply([Operation(Op.CREATE, function("app:made", "return function() end"))])

    asyncio.run(run())
    lines = wippy("registry", "history").output.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3"]
    assert "from files" in lines[1]
    assert lines[1].split()[-3:] == ["+4", "~0", "-0"]
    assert "after 2" in lines[3]
    assert "app:made" in ids(wippy("registry", "list"))
    changed = wippy("registry", "diff", "1", "3").output.splitlines()
    assert changed[0] == "+ app:made  (function.lua)"
    assert changed[1] == "~ app:one  (function.lua)"
    assert "    data.source: return function() return 1 end -> return function() return 2 end" in changed
    assert wippy("registry", "diff").output == "no difference\n"
    (tmp_path / "src" / "more.yaml").unlink()
    assert wippy("registry", "diff").output == "- app.sub:x  (registry.entry)\n"
