"""What a PromQL expression reads: its selectors, found by a reading of its words."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
    | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    | (?P<matchers>\{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^{}"'`])*\})
    | (?P<range>\[[^\]]*\])
    | (?P<number>[0-9][0-9a-zA-Z.]*)
    | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<sign>[-+*/%^=!<>(),@~.]+?)
    """,
    re.VERBOSE,
)
#: What a list of labels in brackets follows.
_LABELS: Final = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OPERATORS: Final = {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"}


def selectors(expression: str) -> list[str]:
    """Return the expression's vector selectors, each once, without ranges and offsets."""
    words = _split(expression)
    found: list[str] = []
    place = 0
    while place < len(words):
        kind, word = words[place]
        after, following = words[place + 1] if place + 1 < len(words) else ("", "")
        place += 1
        if kind == "name" and word.lower() in _LABELS:
            if following == "(":
                place = _closing(words, place) + 1
        elif kind == "name" and word.lower() not in _OPERATORS:
            if after == "matchers":
                found.append(word + following)
                place += 1
            elif following != "(" and following.lower() not in {"by", "without"}:
                found.append(word)
        elif kind == "matchers":
            found.append(word)
    return list(dict.fromkeys(found))


def _split(expression: str) -> list[tuple[str, str]]:
    words, place = [], 0
    while place < len(expression):
        match = _WORDS.match(expression, place)
        assert match is not None, f"not read: {expression[place : place + 20]!r}"
        assert match.lastgroup is not None
        if match.lastgroup != "space":
            words.append((match.lastgroup, match.group()))
        place = match.end()
    return words


def _closing(words: list[tuple[str, str]], place: int) -> int:
    while words[place][1] != ")":
        place += 1
    return place
