"""Semantic versions and the ranges that `ns.dependency` asks for.

Source: manual page `guides/dependency-management`, "Version Constraints".
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from wippy.errors import INVALID, Error

__all__ = ["Version", "parse_version", "satisfies"]

_VERSION = re.compile(
    r"v?(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?:\.(0|[1-9][0-9]*))?(?:\.[0-9]+)*"
    r"(?:-([0-9A-Za-z.-]+)|\.?((?:a|b|rc|dev)[0-9]+(?:\.dev[0-9]+)?))?(?:\+[0-9A-Za-z.-]+|\.post[0-9]+)?"
)
_TERM = re.compile(r"(\^|~>?|>=|<=|!=|>|<|==?)?\s*([^\s,|<>=!^~]+)")
_ANY = ("*", "x", "X", "latest")


class Version(NamedTuple):
    """A version; versions compare as the tuples that they are.

    `pre` is the pre-release part, without which a version is `released` and sorts after all that have one.
    """

    major: int
    minor: int = 0
    patch: int = 0
    released: bool = True
    pre: tuple[tuple[int, int, str], ...] = ()


#: The smallest pre-release part: `2.0.0` with it is what "below 2.0.0" ends at, its release candidates left out.
_FIRST = ((0, 0, ""),)


def parse_version(text: str) -> Version:
    """Return the version: semantic ("v1.2.0-rc.1+build"; missing parts are 0) or as Python writes it ("1.2.0rc1").

    Raises Error(Invalid).
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise Error(f'"{text}" is not a version: expected text like "1.2.3"', INVALID)
    major, minor, patch, pre, python_pre = match.groups()
    parts = re.split(r"[.-]", pre) if pre else re.findall(r"[a-z]+|[0-9]+", python_pre or "")
    # Numbers compare as numbers and sort before words (semantic versioning, rule 11).
    marks = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
    return Version(int(major), int(minor or 0), int(patch or 0), not marks, marks)


def satisfies(version: str, wanted: str) -> bool:
    """Tell whether a version lies in a range: `1.2.3`, `^1.2`, `~1.2.0`, `>=1.0.0 <2.0.0`, `1.x`, `*`, `a || b`.

    Raises Error(Invalid) for either text.
    """
    found = parse_version(version)
    options = [_terms(option, wanted) for option in wanted.split("||")]  # all, so that a bad one is always reported
    return any(all(term(found) for term in terms) for terms in options)


class _Interval(msgspec.Struct, frozen=True):
    low: Version | None = None
    high: Version | None = None  # excluded
    negated: bool = False

    def __call__(self, version: Version) -> bool:
        inside = (self.low is None or version >= self.low) and (self.high is None or version < self.high)
        return inside != self.negated


def _terms(option: str, wanted: str) -> list[_Interval]:
    text = re.sub(r"\s+-\s+", " - ", option.strip())
    if " - " in text:
        low, _, high = text.partition(" - ")
        return [_interval(">=", low.strip()), _interval("<=", high.strip())]
    if re.sub(_TERM, "", text).strip(" ,\t\n"):
        raise Error(f'"{wanted}" is not a version range', INVALID)
    terms = [_interval(operator, version) for operator, version in _TERM.findall(text)]
    if not terms and text:
        raise Error(f'"{wanted}" is not a version range', INVALID)
    return terms


def _interval(operator: str, text: str) -> _Interval:
    parts = re.split(r"[-+]", text.removeprefix("v"), maxsplit=1)[0].split(".")
    exact = next((index for index, part in enumerate(parts) if part in _ANY), len(parts))
    if exact == 0:
        return _Interval()
    low = parse_version(text if exact == len(parts) else ".".join(parts[:exact]))
    after = _raised(low, min(exact, 3) - 1)
    if operator == "^":
        # The first part that is not zero must stay: ^0.2.3 is below 0.3.0.
        index = next((i for i, part in enumerate((low.major, low.minor, low.patch)) if part), min(exact, 3) - 1)
        return _Interval(low, _raised(low, min(index, min(exact, 3) - 1)))
    if operator in ("~", "~>"):
        return _Interval(low, _raised(low, 0 if exact == 1 else 1))
    if operator == ">=":
        return _Interval(low)
    if operator == ">":
        return _Interval(after)
    if operator == "<":
        return _Interval(None, low if low.pre else low._replace(released=False, pre=_FIRST))
    if operator == "<=":
        return _Interval(None, after)
    return _Interval(low, after, operator == "!=")


def _raised(version: Version, index: int) -> Version:
    """Return the smallest version that differs in part `index` (0 is major); after a pre-release comes its release."""
    if version.pre and index == 2:
        return version._replace(pre=(*version.pre, *_FIRST))
    if index == 2:
        return Version(version.major, version.minor, version.patch + 1, False, _FIRST)
    if index == 1:
        return Version(version.major, version.minor + 1, 0, False, _FIRST)
    return Version(version.major + 1, 0, 0, False, _FIRST)
