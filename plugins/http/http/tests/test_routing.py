"""Tables: prefixes, redirects, what is missing and what is not allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.errors import Error
from wippy.registry.entry import Entry
from wippy_plugin_http.config import EndpointConfig, RouterConfig, parse_address
from wippy_plugin_http.routing import Draft, EndpointDraft, Found, RouterDraft, clean_path, join_path, location


async def nothing(scope, receive, send): ...


def draft(routers, stays=lambda entry: True):
    """Return a draft of {prefix: ["METHOD /path", …]}; endpoints are named after their targets."""
    made = Draft(stays)
    for prefix, targets in routers.items():
        config = RouterConfig(server="app:gateway", prefix=prefix)
        made.add_router(RouterDraft(Entry(f"app:{prefix}", "http.router"), config, nothing, nothing))
        for target in targets:
            add(made, prefix, target)
    return made


def add(made, prefix, target):
    method, _, path = target.partition(" ")
    config = EndpointConfig(router=f"app:{prefix}", method=method, path=path, func="app:f")
    made.add_endpoint(EndpointDraft(Entry(f"app:{prefix} {target}", "http.endpoint"), config))


def ask(table, request_line):
    method, path = request_line.split(" ", 1)
    found = table.find(method, path.encode())[1]
    if isinstance(found, Found):
        return found.route.endpoint.split(" ", 1)[1], *found.params
    return found.status, *(value.decode() for _, value in found.headers)


@pytest.mark.parametrize(
    ("prefix", "path", "joined"),
    [
        ("", "/users", "/users"),
        ("/", "/users", "/users"),
        ("/api", "/users", "/api/users"),
        ("/api/", "/users", "/api/users"),
        ("api", "users", "/api/users"),
        ("/api", "/", "/api/"),
        ("/api", "", "/api"),
        ("", "", "/"),
    ],
)
def test_prefix_and_path_are_joined_with_one_slash(prefix, path, joined):
    assert join_path(prefix, path) == joined


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("/a//b", "/a/b"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/..", "/"), ("/a/..", "/"), ("/a/.", "/a/"), ("", "/"),
     ("/a/b/..", "/a/"), ("//", "/"), ("/a/", "/a/"), ("/.well-known/x", "/.well-known/x")],
)  # fmt: skip
def test_paths_are_cleaned(path, cleaned):
    assert clean_path(path) == cleaned


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "", "..."]), max_size=8))
def test_a_clean_path_stays_and_has_no_dots(parts):
    cleaned = clean_path("/" + "/".join(parts))
    assert clean_path(cleaned) == cleaned
    assert cleaned.startswith("/")
    assert not set(cleaned[1:].removesuffix("/").split("/") if cleaned != "/" else []) & {"", ".", ".."}


def test_a_location_names_no_other_host():
    assert location("/\\evil.example/") == "/%5Cevil.example/"
    assert location("/a%20b/\xe9") == "/a%20b/%E9"


def test_the_most_specific_prefix_takes_the_request():
    table = draft(
        {"/": ["GET /", "GET /api/other"], "/api": ["GET /users", "GET /v2/{x}"], "/api/v2": ["GET /users", "GET /{$}"]}
    ).build()
    assert ask(table, "GET /api/users") == ("GET /users",)
    assert ask(table, "GET /api/v2/users") == ("GET /users",)
    assert ask(table, "GET /api/v2/other") == (404,)
    assert ask(table, "GET /api/v2") == (301, "/api/v2/")
    assert ask(table, "GET /api/other") == (404,)
    assert ask(table, "GET /elsewhere") == ("GET /",)
    assert ask(table, "GET /api") == ("GET /",)


def test_what_is_not_there():
    table = draft({"/api": ["GET /leaf", "DELETE /leaf", "GET /tree/", "POST /tree/", "* /any/{x}"]}).build()
    assert ask(table, "POST /api/leaf") == (405, "DELETE, GET, HEAD, OPTIONS")
    assert ask(table, "OPTIONS /api/leaf") == (204, "DELETE, GET, HEAD, OPTIONS")
    assert ask(table, "OPTIONS /api/any/7") == ("* /any/{x}", b"7")
    assert ask(table, "OPTIONS /api/none") == (404,)
    assert ask(table, "GET /other") == (404,)
    assert ask(table, "GET /api/tree") == (301, "/api/tree/")
    assert ask(table, "POST /api/tree") == (308, "/api/tree/")
    assert ask(table, "GET /api//leaf") == (301, "/api/leaf")
    assert ask(table, "GET /api/x/../leaf") == (301, "/api/leaf")
    assert ask(table, "GET //api/leaf") == (301, "/api/leaf")


def test_literal_paths_are_found_by_one_look_up():
    table = draft({"/api": ["GET /a", "GET /{x}", "* /b/c"]}).build()
    assert set(table.literal) == {("GET", b"/api/a")}


def test_clashes_name_both_entries():
    made = draft({"/api": ["GET /{x}/b"]})
    with pytest.raises(Error, match=r'"GET /api/a/{y}" clashes with "GET /api/{x}/b" of app:/api GET /{x}/b') as caught:
        add(made, "/api", "GET /a/{y}")
    assert caught.value.kind == "AlreadyExists"
    with pytest.raises(Error, match="clashes"):
        add(made, "/api", "get /{other}/b")
    with pytest.raises(Error, match=r'prefix "/api/" clashes with prefix "/api" of app:/api'):
        made.add_router(
            RouterDraft(Entry("app:two", "http.router"), RouterConfig(server="app:g", prefix="/api/"), nothing, nothing)
        )


def test_what_changes_in_the_same_change_clashes_with_nothing():
    made = draft({"/api": ["GET /a"]}, stays=lambda entry: False)
    add(made, "/api", "* /a")


@pytest.mark.parametrize(
    ("addr", "expected"),
    [
        (":8080", ("", 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses(addr, expected):
    assert parse_address(addr) == expected


@pytest.mark.parametrize("addr", ["8080", "", "host", "host:", "host:http", ":70000", "::1:80", ":-1"])
def test_what_is_no_address(addr):
    with pytest.raises(Error, match="is not host:port"):
        parse_address(addr)
