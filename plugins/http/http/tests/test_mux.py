"""Patterns: what they match, which wins, which clash; against an oracle that knows no tree."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.errors import Error
from wippy_plugin_http.mux import ANY, Conflicts, Mux, Pattern, Relation


def mux(*patterns):
    tree = Mux()
    for pattern in patterns:
        method, path = pattern.split(" ", 1)
        tree.add(Pattern.parse(method, path), pattern)
    return tree


def winner(tree, request):
    method, path = request.split(" ", 1)
    hit = tree.match(method, path)
    return hit and hit[1]


@pytest.mark.parametrize(
    ("method", "path", "complaint"),
    [
        ("FETCH", "/", 'method "FETCH" is not one of GET, POST'),
        ("GET", "users", 'does not start with "/"'),
        ("GET", "/a//b", "empty part"),
        ("GET", "/a/../b", "could never match"),
        ("GET", "/a{b}", "a parameter is a whole part"),
        ("GET", "/{b", "a parameter is a whole part"),
        ("GET", "/{}", "is not a parameter name"),
        ("GET", "/{1a}", "is not a parameter name"),
        ("GET", "/{a-b}", "is not a parameter name"),
        ("GET", "/{$}/a", "only at the end"),
        ("GET", "/{a...}/b", "only at the end"),
        ("GET", "/{a}/{a}", "twice"),
    ],
)
def test_what_is_no_pattern(method, path, complaint):
    with pytest.raises(Error, match=complaint.replace("$", r"\$")) as caught:
        Pattern.parse(method, path)
    assert caught.value.kind == "Invalid"


@pytest.mark.parametrize(
    ("pattern", "request_line", "params"),
    [
        ("GET /a", "GET /a", ()),
        ("GET /a", "HEAD /a", ()),
        ("get /a", "GET /a", ()),
        ("GET /a", "GET /a/", None),
        ("GET /a", "POST /a", None),
        ("* /a", "PATCH /a", ()),
        ("GET /{x}", "GET /7", ("7",)),
        ("GET /{x}", "GET /", None),
        ("GET /{x}", "GET /a/b", None),
        ("GET /{x}/{y}", "GET /a/b", ("a", "b")),
        ("GET /f/{p...}", "GET /f/a/b/c", ("a/b/c",)),
        ("GET /f/{p...}", "GET /f/", ("",)),
        ("GET /f/{p...}", "GET /f", None),
        ("GET /f/", "GET /f/a/b", ()),
        ("GET /f/{$}", "GET /f/", ()),
        ("GET /f/{$}", "GET /f/a", None),
        ("GET /{x}", "GET /a%2Fb", ("a/b",)),
        ("GET /a b", "GET /a%20b", ()),
        ("GET /é", "GET /%C3%A9", ()),
        ("GET /{x}", "GET /%C3%A9", ("\xc3\xa9",)),
    ],
)
def test_matching(pattern, request_line, params):
    method, path = request_line.split(" ", 1)
    hit = mux(pattern).match(method, path)
    assert (hit and hit[2]) == params


def test_the_most_specific_wins_and_dead_ends_are_left():
    tree = mux(
        "GET /users/me", "GET /users/{id}", "GET /users/{id}/posts", "GET /users/", "GET /{rest...}", "HEAD /users/me"
    )
    assert winner(tree, "GET /users/me") == "GET /users/me"
    assert winner(tree, "HEAD /users/me") == "HEAD /users/me"
    assert winner(tree, "GET /users/7") == "GET /users/{id}"
    assert winner(tree, "GET /users/me/posts") == "GET /users/{id}/posts"
    assert winner(tree, "GET /users/me/other") == "GET /users/"
    assert winner(tree, "GET /other") == "GET /{rest...}"


def test_which_paths_are_redirected_and_which_methods_allowed():
    tree = mux("GET /tree/", "POST /tree/", "GET /leaf", "PUT /leaf")
    assert tree.redirect("GET", "/tree", None)
    assert not tree.redirect("PUT", "/tree", None)
    assert not tree.redirect("GET", "/leaf", tree.match("GET", "/leaf"))
    assert tree.allowed("/leaf") == ["GET", "HEAD", "PUT"]
    assert tree.allowed("/tree") == ["GET", "HEAD", "POST"]
    assert tree.allowed("/none") == []


# The oracle ------------------------------------------------------------------------------------------------------------

PARTS = ["a", "b", "{x}"]
LAST = [*PARTS, "{rest...}", "", "{$}"]
patterns = st.builds(
    lambda method, parts, last: Pattern.parse(method, _unique("/" + "/".join([*parts, last]))),
    st.sampled_from(["GET", "HEAD", "POST", ANY]),
    st.lists(st.sampled_from(PARTS), max_size=2),
    st.sampled_from(LAST),
)
PATHS = [
    "/" + "/".join(parts) + end
    for size in range(4)
    for parts in itertools.product(["a", "b", "c"], repeat=size)
    for end in ("", "/")
    if size or not end
]
REQUESTS = list(itertools.product(["GET", "HEAD", "POST", "PUT"], PATHS))


def _unique(path):
    counter = itertools.count()
    return "".join(
        f"{{x{next(counter)}}}" if part == "{x}" else part for part in path.replace("{x}", "\0{x}\0").split("\0")
    )


def matches(pattern, method, path):
    """Tell by the definition whether a pattern matches a request."""
    if pattern.method not in (ANY, method) and (pattern.method, method) != ("GET", "HEAD"):
        return False
    wanted, parts = pattern.path[1:].split("/"), path[1:].split("/")
    for i, part in enumerate(wanted):
        if part == "" or part.endswith("...}"):
            return len(parts) > i
        if i >= len(parts):
            return False
        if part == "{$}":
            return parts[i:] == [""]
        if part.startswith("{"):
            if not parts[i]:
                return False
        elif part != parts[i]:
            return False
    return len(parts) == len(wanted)


def requests_of(pattern):
    return {request for request in REQUESTS if matches(pattern, *request)}


@settings(max_examples=300, deadline=None)
@given(patterns, patterns)
def test_relations_are_those_of_the_requests_that_match(one, other):
    first, second = requests_of(one), requests_of(other)
    expected = (
        Relation.DISJOINT
        if not first & second
        else Relation.EQUAL
        if first == second
        else Relation.MORE_GENERAL
        if first > second
        else Relation.MORE_SPECIFIC
        if first < second
        else Relation.OVERLAPS
    )
    assert one.compare(other) is expected
    assert other.compare(one) is {
        Relation.MORE_GENERAL: Relation.MORE_SPECIFIC,
        Relation.MORE_SPECIFIC: Relation.MORE_GENERAL,
    }.get(expected, expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(patterns, max_size=8), st.sampled_from(REQUESTS))
def test_the_tree_gives_what_the_definition_gives(candidates, request_line):
    conflicts, tree, kept = Conflicts(), Mux(), []
    for number, pattern in enumerate(candidates):
        clashes = {owner for owner, other in kept if pattern.compare(other) in (Relation.EQUAL, Relation.OVERLAPS)}
        assert set(conflicts.find(pattern)) == clashes
        if not clashes:
            conflicts.add(str(number), pattern)
            tree.add(pattern, pattern)
            kept.append((str(number), pattern))
    matching = [pattern for _, pattern in kept if matches(pattern, *request_line)]
    best = [p for p in matching if all(p is q or p.compare(q) is Relation.MORE_SPECIFIC for q in matching)]
    hit = tree.match(*request_line)
    assert (hit and hit[1]) == (best[0] if best else None)
    assert bool(best) == bool(matching)
    if kept:
        conflicts.remove(kept[0][0])
        assert kept[0][0] not in set(conflicts.find(kept[0][1]))
