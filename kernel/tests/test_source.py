"""Definition files become entries with places; what is wrong in them is collected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wippy.registry.entry import Place
from wippy.registry.glob import matcher
from wippy.registry.source import Source, read_source


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(root: Path, files: dict[str, str | bytes]) -> Source:
    return read_source(write(root, files), "src")


def test_an_entry_with_its_place(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        {
            "api/_index.yaml": """\
version: "1.0"
namespace: app.api
meta: {team: core, tags: [a]}

entries:
  - name: get_user
    kind: function.lua
    meta:
      tags: [b]
    source: file://handler.lua
    modules: [sql, json]
""",
            "api/handler.lua": "return 1\n",
        },
    )
    assert (source.warnings, source.problems) == ([], [])
    (entry,) = source.entries
    assert (entry.id, entry.kind, entry.meta) == ("app.api:get_user", "function.lua", {"team": "core", "tags": ["b"]})
    assert entry.data == {"source": "return 1\n", "modules": ["sql", "json"]}
    assert entry.place == Place(
        "src/api/_index.yaml",
        6,
        {"name": 6, "kind": 7, "meta": 8, "source": 10, "modules": 11},
        {"source": "src/api/handler.lua"},
    )


def test_which_files_are_read_and_in_what_order(tmp_path: Path) -> None:
    one = "namespace: {}\nentries: [{{name: x, kind: registry.entry}}]\n"
    files: dict[str, str | bytes] = {
        f"{folder}/{name}": one.format(namespace)
        for folder, name, namespace in [
            ("b", "z.yml", "b.z"),
            ("b", "a.json", "b.a"),
            ("a", "x.yaml", "a.x"),
            ("node_modules/m", "x.yaml", "hidden1"),
            (".git", "x.yaml", "hidden2"),
            ("skipped", "x.yaml", "hidden3"),
            ("b", "ignored.yaml", "hidden4"),
            ("b", "x.txt", "hidden5"),
        ]
    }
    files["b/a.json"] = json.dumps({"namespace": "b.a", "entries": [{"name": "x", "kind": "registry.entry"}]})
    files["root.yaml"] = one.format("root")
    write(tmp_path, files)
    source = read_source(tmp_path, "", [tmp_path / "skipped"], matcher(["**/ignored.yaml"], "/"))
    assert [entry.id for entry in source.entries] == ["root:x", "a.x:x", "b.a:x", "b.z:x"]
    assert source.entries[0].place is not None
    assert source.entries[0].place.file == "root.yaml"


def test_files_without_a_namespace_are_no_definitions(tmp_path: Path) -> None:
    source = read(
        tmp_path, {"a.yaml": "entries: 5\n", "b.yaml": "", "c.json": "[1]", "d.yaml": "- 1\n", "e.json": "{}"}
    )
    assert source == Source()


def test_a_file_that_is_one_entry(tmp_path: Path) -> None:
    source = read(tmp_path, {"a.yaml": "version: '1.0'\nnamespace: app\nname: cfg\nkind: registry.entry\nx: 1\n"})
    assert source.problems == []
    assert [(e.id, e.data) for e in source.entries] == [("app:cfg", {"x": 1})]


def test_data_either_in_a_block_or_as_fields(tmp_path: Path) -> None:
    text = """\
namespace: app
entries:
  - {name: a, kind: registry.entry, data: {x: 1, source: y}}
  - {name: b, kind: registry.entry, data: [1, 2]}
  - {name: c, kind: registry.entry, data: {x: 1}, lost: 2}
  - {name: 404, kind: registry.entry}
"""
    source = read(tmp_path, {"a.yaml": text})
    assert [(e.id, e.data) for e in source.entries] == [
        ("app:a", {"x": 1, "source": "y"}),
        ("app:b", {"data": [1, 2]}),
        ("app:c", {"x": 1}),
        ("app:404", {}),
    ]
    assert source.warnings == ['src/a.yaml:5:51: entry "app:c" has "data", so "lost" is ignored']
    assert source.problems == []


def test_file_references_anywhere_in_the_data(tmp_path: Path) -> None:
    text = """\
namespace: app
entries:
  - name: a
    kind: x
    readme: file:///docs/read.md
    methods: [{schema: file://../docs/s.json}, {schema: plain}]
    wasm: file://a.wasm
    meta: {icon: file://kept}
"""
    files: dict[str, str | bytes] = {
        "sub/_index.yaml": text,
        "docs/read.md": "\ufeffHéllo",
        "docs/s.json": "{}",
        "sub/a.wasm": b"\0asm\xff",
    }
    source = read(tmp_path, files)
    assert source.problems == []
    (entry,) = source.entries
    assert entry.data == {
        "readme": "Héllo",
        "methods": [{"schema": "{}"}, {"schema": "plain"}],
        "wasm": b"\0asm\xff",
    }
    assert entry.meta == {"icon": "file://kept"}
    assert entry.place is not None
    assert entry.place.sources == {
        "readme": "src/docs/read.md",
        "methods[0].schema": "src/docs/s.json",
        "wasm": "src/sub/a.wasm",
    }


@pytest.mark.parametrize(
    "reference", ["file://../../secret", "file:///../secret", "file://link", "file://folder/secret"]
)
def test_file_references_stay_below_the_root(tmp_path: Path, reference: str) -> None:
    root = tmp_path / "src"
    write(root, {"sub/a.yaml": f"namespace: a\nentries:\n- name: x\n  kind: k\n  source: {reference}\n"})
    (tmp_path / "secret").write_text("s")
    (root / "sub" / "link").symlink_to(tmp_path / "secret")
    (root / "sub" / "folder").symlink_to(tmp_path)
    source = read_source(root, "src")
    assert source.entries == []
    assert source.problems == [
        f'src/sub/a.yaml:5: entry "a:x", field "source": {reference} lies outside the source directory src'
    ]


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    text = (
        "namespace: a\nentries:\n- {name: x, kind: k, source: 'file://no.lua'}\n- {name: y, kind: k, s: 'file://sub'}\n"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "broken.yaml").symlink_to(tmp_path / "nowhere.yaml")
    source = read(tmp_path, {"a.yaml": text})
    assert source.problems == [
        'src/a.yaml:3: entry "a:x", field "source": file://no.lua: there is no file src/no.lua',
        'src/a.yaml:4: entry "a:y", field "s": file://sub: cannot read src/sub: Is a directory',
        "src/broken.yaml: cannot read the file: No such file or directory",
    ]


def test_all_problems_are_collected(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        {
            "a.yaml": """\
namespace: app
entries:
  - name: ok
    kind: k
  - kind: k
  - name: nokind
    knd: k
  - name: ""
    kind: k
  - name: a b
    kind: k
  - name: listed
    kind: [k]
  - text
  - name: ok
    kind: k
  - name: metaless
    kind: k
    meta: 5
  - {name: twice, kind: k, x: 1, x: 2}
""",
            "b.yaml": "namespace: app\nentries: {a: 1}\n",
            "c.yaml": "namespace: [\n",
            "d.yaml": "namespace: a:b\n",
            "e.json": '{"a": 1,}',
            "f.json": '{"namespace": "x" "b": 1}',
        },
    )
    assert [entry.id for entry in source.entries] == ["app:ok", "app:ok"]
    assert source.problems == [
        "src/a.yaml:5:5: an entry has no name",
        'src/a.yaml:6:5: entry "app:nokind" has no kind, but "knd": is that a misspelling?',
        "src/a.yaml:8:5: an entry needs a name that is text, got ''",
        "src/a.yaml:10:5: entry name 'a b' may not hold spaces or control characters",
        "src/a.yaml:13:5: entry \"app:listed\" needs a kind that is text, got ['k']",
        "src/a.yaml:14:5: an entry must be a mapping with name and kind",
        'src/a.yaml:19:5: "meta" must be a mapping',
        'src/a.yaml:20:34: key "x" stands on line 20 already',
        'src/b.yaml:2:1: "entries" must be a list of entries',
        "src/c.yaml:2:1: YAML does not parse: did not find expected node content",
        "src/d.yaml:1:1: namespace 'a:b' must be text such as app.api, without spaces and colons",
        "src/e.json:1:9: JSON does not parse: Expecting property name enclosed in double quotes",
        "src/f.json:1:19: JSON does not parse: Expecting ',' delimiter",
        'src/a.yaml:15: entry "app:ok" is defined already at src/a.yaml:3',
    ]


def test_misspelt_keys_and_further_documents_are_warned_about(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        {
            "a.yaml": "namespace: app\nentires: []\n",
            "b.yaml": "namespace: app\nentries: []\nfoo: 1\n---\nb: 1\n",
            "kustomization.yaml": "namespace: default\nresources: []\n",
        },
    )
    assert source.problems == []
    assert source.warnings == [
        'src/a.yaml:2:1: unknown key "entires", did you mean "entries"?',
        'src/a.yaml: has a namespace but no "entries": nothing is defined here',
        "src/b.yaml: only the first document of the file is read",
        'src/b.yaml:3:1: unknown key "foo"',
        'src/kustomization.yaml: has a namespace but no "entries": nothing is defined here',
    ]


def test_json_that_yaml_cannot_read(tmp_path: Path) -> None:
    text = '{"namespace": "app", "entries": [{"name": "a", "kind": "k", "x": "\\ud83d\\ude00"}]}'
    source = read(tmp_path, {"a.json": text})
    assert source.problems == []
    assert source.entries[0].data == {"x": "😀"}
