"""Requests that the matches of two lists of routes tell apart: one for each pair of routes. Pure.

Each condition is about one part of a request: the path, the method, a header or a parameter. For
each part, the conditions of both sides divide its values into classes. A combination of classes is
known by the routes that all its parts allow, so combinations are joined part by part, and those
that allow the same routes are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..envoy.configuration import Resource
from .evaluation import header_matches, path_matches
from .languages import (
    ALL,
    ANYTHING,
    EMPTY,
    NOTHING,
    Language,
    TooHard,
    characters,
    either,
    joined,
    literal,
    one_of,
    overlaps,
    prefix,
    regex,
    repeated,
)
from .requests import Request

_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_PATH: Final = ":path"
_OWN: Final = frozenset({":method", ":authority", ":scheme"})
#: Envoy decodes %41 and removes /../ before it matches.
_PATHS: Final = joined(literal("/"), repeated(one_of(ALL & ~characters('?#% \\|^{}<>"`'))))
_INNER: Final = one_of(ALL & ~characters('\\"<>'))
_VISIBLE: Final = one_of(ALL & ~characters(' \\"<>'))
#: Without blanks at the ends.
_VALUES: Final = either((EMPTY, _VISIBLE, joined(_VISIBLE, joined(repeated(_INNER), _VISIBLE))))
_PARAMETERS: Final = repeated(one_of(ALL & ~characters(' &#%+\\|^{}<>"`')))
_COMBINATIONS: Final = 100_000
_WITNESSES: Final = 3


@dataclass(frozen=True, slots=True)
class PairClass:
    """Requests that one route takes on one side, and one on the other; None is no route."""

    old: int | None
    new: int | None
    witnesses: tuple[Request, ...]


@dataclass(slots=True)
class Pairs:
    """``gaps`` say which conditions were only tried on samples."""

    classes: list[PairClass] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a request: its values by the routes that they allow (a bit for each)."""

    name: str
    values: Mapping[int, str | None]
    #: The routes with a condition about it.
    asked: int


def pair_classes(
    old: Sequence[Resource], new: Sequence[Resource], base: Request, *, tls: bool
) -> Pairs:
    """Return the pairs of routes that take some request, each with requests that they take."""
    routes = [each["match"] for each in (*old, *new)]
    found = Pairs()
    parts = [*_parts(routes, base, found.gaps, tls=tls)]
    after = [0] * len(parts)
    later = 0
    for index in reversed(range(len(parts))):
        after[index] = later
        later |= parts[index].asked
    everything = (1 << len(routes)) - 1
    opaque = sum(1 << at for at, each in enumerate(routes) if each.get("dynamic_metadata"))
    states: dict[int, list[tuple[str | None, ...]]] = {everything & ~opaque: [()]}
    for part, undecided in zip(parts, after, strict=True):
        following: dict[int, list[tuple[str | None, ...]]] = {}
        for mask, chosen in states.items():
            for allowed, value in part.values.items():
                left = _without_consequences(mask & allowed, undecided, len(old))
                known = following.setdefault(left, [])
                for each in chosen[: _WITNESSES - len(known)]:
                    known.append((*each, value))
        if len(following) > _COMBINATIONS:
            found.gaps.append(f"more than {_COMBINATIONS:,} combinations of conditions")
            following = dict([*following.items()][:_COMBINATIONS])
        states = following
    pairs: dict[tuple[int | None, int | None], list[Request]] = {}
    for mask, chosen in states.items():
        pair = (_lowest(mask & ((1 << len(old)) - 1)), _lowest(mask >> len(old)))
        requests = pairs.setdefault(pair, [])
        requests += [_request(base, parts, each) for each in chosen]
    for (one, other), requests in pairs.items():
        ordered = sorted(requests, key=lambda each: (len(each.headers), len(each.path)))
        found.classes.append(PairClass(one, other, tuple(ordered[:_WITNESSES])))
    return found


def _without_consequences(mask: int, undecided: int, count: int) -> int:
    """Remove the routes behind one that surely takes the request, on each side."""
    for side in ((1 << count) - 1, ~((1 << count) - 1)):
        sure = mask & side & ~undecided
        if sure:
            first = sure & -sure
            mask &= ~side | (first << 1) - 1
    return mask


def _lowest(mask: int) -> int | None:
    return (mask & -mask).bit_length() - 1 if mask else None


def _parts(
    routes: Sequence[Mapping[str, Any]], base: Request, gaps: list[str], *, tls: bool
) -> Iterator[_Part]:
    yield _path_part(routes, gaps)
    by_name: dict[tuple[str, str], None] = {}
    for match in routes:
        for kind in ("headers", "query_parameters"):
            by_name.update({(kind, each["name"]): None for each in match.get(kind, ())})
    fixed = {":authority": base.authority, ":scheme": "https" if tls else "http"}
    for kind, name in by_name:
        conditions = [
            [each for each in match.get(kind, ()) if each["name"] == name] for match in routes
        ]
        if name in fixed:
            values: Iterable[str | None] = (fixed[name],)
        elif name == ":method":
            values = _methods(conditions)
        else:
            within = _VALUES if kind == "headers" else _PARAMETERS
            values = (None, *_texts(conditions, within, name, gaps))
        label = f"?{name}" if kind == "query_parameters" else name
        yield _part(label, conditions, values)


def _path_part(routes: Sequence[Mapping[str, Any]], gaps: list[str]) -> _Part:
    languages: dict[str, Language] = {}
    for match in routes:
        languages.setdefault(_path_key(match), _path_language(match, gaps))
    values: dict[int, str | None] = {}
    for text in _witnesses([*languages.values()], _PATHS, "path", gaps):
        allowed = sum(1 << at for at, each in enumerate(routes) if path_matches(each, text))
        values.setdefault(allowed, text)
    asked = sum(1 << at for at, each in enumerate(routes) if each.get("prefix") != "/")
    return _Part(_PATH, values, asked)


def _path_key(match: Mapping[str, Any]) -> str:
    kinds = ("path", "prefix", "path_separated_prefix", "safe_regex", "case_sensitive")
    return json.dumps([match.get(each) for each in kinds])


def _path_language(match: Mapping[str, Any], gaps: list[str]) -> Language:
    fold = not match.get("case_sensitive", True)
    if "path" in match:
        return literal(match["path"], fold=fold)
    if "path_separated_prefix" in match:
        below = either((EMPTY, prefix("/")))
        return joined(literal(match["path_separated_prefix"], fold=fold), below)
    if "safe_regex" in match:
        return _regex(match["safe_regex"]["regex"], gaps)
    return prefix(match.get("prefix", ""), fold=fold)


def _regex(pattern: str, gaps: list[str]) -> Language:
    try:
        return regex(pattern)
    except TooHard:
        gaps.append(f"the regular expression {pattern}")
        return NOTHING


def _witnesses(
    languages: Sequence[Language], within: Language, what: str, gaps: list[str]
) -> Iterable[str]:
    try:
        return overlaps(languages, within).values()
    except TooHard:
        gaps.append(f"how the conditions about the {what} overlap")
        # Each of them alone.
        found: dict[str, None] = {}
        for each in (*languages, ANYTHING):
            found.update(dict.fromkeys(overlaps([each], within).values()))
        return found


def _texts(
    conditions: Sequence[Sequence[Mapping[str, Any]]], within: Language, name: str, gaps: list[str]
) -> Iterable[str]:
    languages: dict[Language, None] = {}
    for each in (one for some in conditions for one in some):
        match = each.get("string_match")
        if match and "exact" in match:
            languages[literal(match["exact"])] = None
        elif match and "prefix" in match:
            languages[prefix(match["prefix"])] = None
        elif match:
            languages[_regex(match["safe_regex"]["regex"], gaps)] = None
    return _witnesses([*languages], within, name, gaps)


def _methods(conditions: Sequence[Sequence[Mapping[str, Any]]]) -> Iterable[str]:
    exact = [
        each["string_match"]["exact"]
        for some in conditions
        for each in some
        if "exact" in each.get("string_match", {})
    ]
    return dict.fromkeys((*_METHODS, *exact))


def _part(
    name: str,
    conditions: Sequence[Sequence[Mapping[str, Any]]],
    values: Iterable[str | None],
) -> _Part:
    found: dict[int, str | None] = {}
    for value in values:
        allowed = sum(
            1 << at
            for at, some in enumerate(conditions)
            if all(header_matches(each, value) for each in some)
        )
        found.setdefault(allowed, value)
    asked = sum(1 << at for at, some in enumerate(conditions) if some)
    return _Part(name, found, asked)


def _request(base: Request, parts: Sequence[_Part], values: Sequence[str | None]) -> Request:
    path, method = base.path, base.method
    headers, query = [], []
    for part, value in zip(parts, values, strict=True):
        if value is None:
            continue
        if part.name == _PATH:
            path = value
        elif part.name == ":method":
            method = value
        elif part.name.startswith("?"):
            query.append(f"{part.name[1:]}={value}" if value else part.name[1:])
        elif part.name not in _OWN:
            headers.append((part.name, value))
    whole = f"{path}?{'&'.join(query)}" if query else path
    return replace(base, path=whole, method=method, headers=(*base.headers, *headers))
