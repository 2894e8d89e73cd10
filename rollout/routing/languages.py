"""Sets of texts that matches describe, and one text for each way in which several overlap. Pure.

Prefixes, exact texts and regular expressions are regular languages. The derivative of a language by
a character is what may follow it (Brzozowski, Derivatives of Regular Expressions, 1964). All
languages are derived together, character by character: each state reached tells which of them
accept the text so far.
"""

from __future__ import annotations

import collections
import importlib
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

# Python's own parser of regular expressions, which has no types.
ops: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")

#: In this order of preference; texts of other characters are not looked for.
_CHARACTERS: Final = (
    "x" + string.ascii_lowercase.replace("x", "") + string.digits + "-/_." + string.ascii_uppercase
) + "=,;:@!$&'()*+~%?#[]{}|\\^`\"<> "
_BIT: Final = {character: 1 << index for index, character in enumerate(_CHARACTERS)}
ALL: Final = (1 << len(_CHARACTERS)) - 1
_STATES: Final = 20_000
_REPEATS: Final = 128
_UNKNOWN: Final = re.compile(r"\[:|\\[pPQEzCAbB]|\(\?[a-zA-Z]*[sUm-]")
_CATEGORIES: Final = {
    ops.CATEGORY_DIGIT: string.digits,
    ops.CATEGORY_SPACE: " ",
    ops.CATEGORY_WORD: string.ascii_letters + string.digits + "_",
}
_NEGATED: Final = {
    ops.CATEGORY_NOT_DIGIT: ops.CATEGORY_DIGIT,
    ops.CATEGORY_NOT_SPACE: ops.CATEGORY_SPACE,
    ops.CATEGORY_NOT_WORD: ops.CATEGORY_WORD,
}

#: A language: nothing, the empty text, a character of a set, or made of others.
Language = tuple[Any, ...]
NOTHING: Final[Language] = ("nothing",)
EMPTY: Final[Language] = ("empty",)


class TooHard(Exception):
    """A regular expression can't be read as a language, or has too many states."""


def characters(text: str) -> int:
    """Return the set of these characters."""
    return sum(_BIT[each] for each in set(text) if each in _BIT)


def one_of(mask: int) -> Language:
    return ("set", mask) if mask else NOTHING


def joined(first: Language, second: Language) -> Language:
    if NOTHING in (first, second):
        return NOTHING
    if first == EMPTY:
        return second
    if second == EMPTY:
        return first
    if first[0] == "join":
        return "join", first[1], joined(first[2], second)
    return "join", first, second


def either(parts: Iterable[Language]) -> Language:
    found: set[Language] = set()
    for each in parts:
        found |= each[1] if each[0] == "either" else {each}
    found.discard(NOTHING)
    if ANYTHING in found:
        return ANYTHING
    if len(found) < 2:
        return found.pop() if found else NOTHING
    return "either", frozenset(found)


def repeated(part: Language) -> Language:
    if part in (NOTHING, EMPTY):
        return EMPTY
    return part if part[0] == "repeat" else ("repeat", part)


ANYTHING: Final[Language] = ("repeat", ("set", ALL))


def literal(text: str, *, fold: bool = False) -> Language:
    """Return the language of one text; a character that is not looked for makes it empty."""
    found = EMPTY
    for each in reversed(text):
        found = joined(one_of(characters(_cases(each) if fold else each)), found)
    return found


def prefix(text: str, *, fold: bool = False) -> Language:
    return joined(literal(text, fold=fold), ANYTHING)


@lru_cache(maxsize=1024)
def regex(pattern: str) -> Language:
    """Return the language of texts of which the whole matches; raise TooHard."""
    if _UNKNOWN.search(pattern):
        raise TooHard(pattern)
    try:
        parsed = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        raise TooHard(pattern) from None
    found = [*parsed]
    # The whole text is matched anyway.
    if found and found[0] == (ops.AT, ops.AT_BEGINNING):
        del found[0]
    if found and found[-1] == (ops.AT, ops.AT_END):
        del found[-1]
    return _sequence(found, fold=bool(parsed.state.flags & re.IGNORECASE))


def _sequence(items: Iterable[Any], *, fold: bool) -> Language:
    found = EMPTY
    for each in reversed([*items]):
        found = joined(_item(*each, fold=fold), found)
    return found


def _item(op: Any, value: Any, *, fold: bool) -> Language:
    if op is ops.LITERAL:
        return one_of(characters(_cases(chr(value)) if fold else chr(value)))
    if op is ops.NOT_LITERAL:
        return one_of(ALL & ~characters(_cases(chr(value)) if fold else chr(value)))
    if op is ops.ANY:
        return one_of(ALL)
    if op is ops.IN:
        return one_of(_class(value, fold=fold))
    if op is ops.BRANCH:
        return either(_sequence(each, fold=fold) for each in value[1])
    if op is ops.SUBPATTERN:
        _, added, _, inner = value
        return _sequence(inner, fold=fold or bool(added & re.IGNORECASE))
    if op in {ops.MAX_REPEAT, ops.MIN_REPEAT}:
        least, most, inner = value
        return _repeat(_sequence(inner, fold=fold), least, most)
    raise TooHard(str(op))


def _repeat(part: Language, least: int, most: Any) -> Language:
    unbounded = most is ops.MAXREPEAT
    if least > _REPEATS or (not unbounded and most > _REPEATS):
        raise TooHard("many repetitions")
    found = repeated(part) if unbounded else EMPTY
    for _ in range(0 if unbounded else most - least):
        found = either((EMPTY, joined(part, found)))
    for _ in range(least):
        found = joined(part, found)
    return found


def _class(items: Iterable[Any], *, fold: bool) -> int:
    found, negated = 0, False
    for op, value in items:
        if op is ops.NEGATE:
            negated = True
        elif op is ops.LITERAL:
            found |= characters(_cases(chr(value)) if fold else chr(value))
        elif op is ops.RANGE:
            text = "".join(map(chr, range(value[0], min(value[1], 126) + 1)))
            found |= characters(_cases(text) if fold else text)
        elif op is ops.CATEGORY and value in _CATEGORIES:
            found |= characters(_CATEGORIES[value])
        elif op is ops.CATEGORY and value in _NEGATED:
            found |= ALL & ~characters(_CATEGORIES[_NEGATED[value]])
        else:
            raise TooHard(str(op))
    return ALL & ~found if negated else found


def _cases(text: str) -> str:
    return text.lower() + text.upper()


@lru_cache(maxsize=65536)
def accepts_empty(language: Language) -> bool:
    match language:
        case ("empty",) | ("repeat", _):
            return True
        case ("join", first, second):
            return accepts_empty(first) and accepts_empty(second)
        case ("either", parts):
            return any(map(accepts_empty, parts))
    return False


@lru_cache(maxsize=262144)
def derivative(language: Language, bit: int) -> Language:
    """Return what may follow a character."""
    match language:
        case ("set", mask):
            return EMPTY if mask & bit else NOTHING
        case ("join", first, second):
            found = joined(derivative(first, bit), second)
            return either((found, derivative(second, bit))) if accepts_empty(first) else found
        case ("either", parts):
            return either(derivative(each, bit) for each in parts)
        case ("repeat", part):
            return joined(derivative(part, bit), language)
    return NOTHING


@lru_cache(maxsize=65536)
def _first(language: Language) -> frozenset[int]:
    """Return the sets of characters that may come next."""
    match language:
        case ("set", mask):
            return frozenset({mask})
        case ("join", first, second):
            return _first(first) | _first(second) if accepts_empty(first) else _first(first)
        case ("either", parts):
            return frozenset().union(*map(_first, parts))
        case ("repeat", part):
            return _first(part)
    return frozenset()


def overlaps(languages: Sequence[Language], within: Language) -> Mapping[frozenset[int], str]:
    """Return a shortest text of ``within`` for each set of languages that accept one together.

    The sets have the places of the languages in the sequence. A text that is not empty is
    preferred. Raise TooHard if there are too many states.
    """
    found: dict[frozenset[int], str] = {}
    start = (within, tuple(enumerate(languages)), frozenset[int]())
    known = {start}
    queue = collections.deque([(start, "")])
    while queue:
        (limit, live, sure), text = queue.popleft()
        if text and accepts_empty(limit):
            accepting = sure.union(place for place, each in live if accepts_empty(each))
            found.setdefault(accepting, text)
        for bit, character in _choices((limit, *(each for _, each in live))):
            rest = derivative(limit, bit)
            if rest == NOTHING:
                continue
            state = (rest, *_step(live, sure, bit))
            if state not in known:
                known.add(state)
                if len(known) > _STATES:
                    raise TooHard("too many states")
                queue.append((state, text + character))
    if accepts_empty(within):
        empty = frozenset(place for place, each in enumerate(languages) if accepts_empty(each))
        found.setdefault(empty, "")
    return found


def _step(
    live: tuple[tuple[int, Language], ...], sure: frozenset[int], bit: int
) -> tuple[tuple[tuple[int, Language], ...], frozenset[int]]:
    """Return the languages that are still undecided, and those that accept whatever follows."""
    undecided, decided = [], []
    for place, each in live:
        rest = derivative(each, bit)
        if rest == ANYTHING:
            decided.append(place)
        elif rest != NOTHING:
            undecided.append((place, rest))
    return tuple(undecided), sure.union(decided)


def _choices(languages: Iterable[Language]) -> Iterator[tuple[int, str]]:
    """Yield a character of each kind that the languages tell apart."""
    sets = frozenset().union(*map(_first, languages))
    kinds: set[tuple[bool, ...]] = set()
    for character in _CHARACTERS:
        bit = _BIT[character]
        kind = tuple(bool(each & bit) for each in sets)
        if kind not in kinds:
            kinds.add(kind)
            yield bit, character
