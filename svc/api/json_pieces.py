"""Check a large JSON document piece by piece, in bounded steps and with little memory. Pure.

A parser builds an object for each value, in one step. So a document is cut at commas between its
values. Each piece is completed to a document of its own, by the brackets that are open at its
start and closed after its end, and parsed alone. Nothing is kept of a piece but the keys of objects
that are not closed yet: duplicates may follow in the next one.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final

#: The least bytes of a piece: it ends at the next comma that is not in a string.
PIECE_BYTES: Final = 32_768

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
#: From within a string to its end.
_STRING_END: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BACKSLASHES: Final = re.compile(rb"\\*")
_PLACE: Final = re.compile(r" at line (\d+) column (\d+)$")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_CLOSING: Final = bytes.maketrans(b"[{", b"]}")
#: More strings than can follow each other without a comma within the allowed levels.
_STRINGS: Final = 1_000

#: Keys of the values that stand for what is before and after a piece. No client knows them.
_BEFORE: Final = uuid.uuid4().hex
_AFTER: Final = uuid.uuid4().hex
_OBJECT_BEFORE: Final = b'{"%b":' % _BEFORE.encode()
_MEMBER_AFTER: Final = b'"%b":0' % _AFTER.encode()


class PieceInvalid(ValueError):
    """The document is invalid in one of its pieces."""


@dataclass
class _Open:
    """What is open at a place in the document."""

    #: The opening brackets.
    brackets: bytearray = field(default_factory=bytearray)
    #: For each of them the keys so far, if it is an object.
    keys: list[set[str]] = field(default_factory=list)


def parse_pieces(
    raw: bytes, parse: Callable[[bytes], Any], most_levels: int, most_nodes: int
) -> Generator[None, None, None]:
    """Parse the document in steps. Raise PieceInvalid unless all of it is valid.

    ``parse`` parses one document, strictly, and raises ValueError. Nodes are arrays,
    objects and members of objects.
    """
    state, start, nodes = _Open(), 0, 0
    while True:
        end = _end_of_piece(raw, start)
        shown = _STRING.sub(b"", raw[start:end])
        nodes += shown.count(b"[") + shown.count(b"{") + shown.count(b":")
        if nodes > most_nodes:
            raise PieceInvalid(
                f"it has more arrays, objects and members: at most {most_nodes} are allowed"
            )
        before = bytes(state.brackets)
        brackets = shown.translate(None, _NOT_BRACKETS)
        kept, most = _follow(state.brackets, brackets, most_levels)
        if most > most_levels and _levels(len(before), brackets) > most_levels:
            raise PieceInvalid(f"it nests deeper than {most_levels} levels")
        is_last = end == len(raw)
        head = _opened(before)
        tail = b"" if is_last else _closed(state.brackets)
        try:
            value = parse(head + raw[start : end + 1] + tail)
        except ValueError as error:
            said = _with_place(str(error), raw, start, len(head))
            raise PieceInvalid(f"it is not strict JSON: {said}") from None
        if is_last:
            _check_keys(state, before, value, len(before))
            return
        _check_keys(state, before, value, kept)
        state.keys += _keys_at_end(value, state.brackets, kept)
        start = end + 1
        yield


def _end_of_piece(raw: bytes, start: int) -> int:
    """Return where a comma ends the piece, or the end of the document."""
    at = start + PIECE_BYTES
    if at >= len(raw):
        return len(raw)
    if raw[at - 1] == ord("\\"):  # not between a backslash and what it escapes
        at = _BACKSLASHES.match(raw, at).end() + 1  # type: ignore[union-attr]
    piece = raw[start:at]
    if b"\\" in piece:
        piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
    if piece.count(b'"') % 2:
        at = _after_string(raw, at)
    for _ in range(_STRINGS):
        comma = raw.find(b",", at)
        if comma < 0:
            break
        quote = raw.find(b'"', at, comma)
        if quote < 0:
            return comma
        at = _after_string(raw, quote + 1)
    return len(raw)


def _after_string(raw: bytes, at: int) -> int:
    found = _STRING_END.match(raw, at)
    return len(raw) if found is None else found.end()


def _follow(open_brackets: bytearray, brackets: bytes, most_levels: int) -> tuple[int, int]:
    """Change what is open by the brackets of a piece.

    Return how many stayed open all the time, and how many were open at most, or a few more. Where
    brackets don't match, the parser will say so.
    """
    kept = most = len(open_brackets)
    before = b""
    # Each time closes one level of all pairs, and takes as long as the piece is: what nests deeper
    # than is allowed is followed bracket by bracket.
    while len(before) != len(brackets) and most <= 2 * most_levels:
        before, brackets = brackets, brackets.replace(b"[]", b"").replace(b"{}", b"")
        most += 2
    for bracket in brackets:
        if bracket in b"]}":
            if open_brackets:
                open_brackets.pop()
            kept = min(kept, len(open_brackets))
        else:
            open_brackets.append(bracket)
            most += 1
    return kept, most


def _levels(count: int, brackets: bytes) -> int:
    """Return how many are open at most, of a piece at whose start ``count`` are open."""
    most = count
    for bracket in brackets:
        count += -1 if bracket in b"]}" else 1
        most = max(most, count)
    return most


def _opened(brackets: bytes) -> bytes:
    """Return what stands before a piece in which these brackets are open.

    A value stands for those before it. So a comma is refused where the piece has no value.
    """
    opened = [b"[" if each == ord("[") else _OBJECT_BEFORE for each in brackets]
    return b"".join(opened) + b"0," if brackets else b""


def _closed(brackets: bytearray) -> bytes:
    """Return what stands after a piece that ends with a comma: a value, and closing brackets."""
    if not brackets:
        return b""
    value = b"0" if brackets[-1] == ord("[") else _MEMBER_AFTER
    return value + bytes(brackets[::-1]).translate(_CLOSING)


def _with_place(said: str, raw: bytes, start: int, added: int) -> str:
    """Return the parser's message with the place in the whole document, not in the piece."""
    found = _PLACE.search(said)
    if found is None:
        return said
    line, column = int(found[1]), int(found[2])
    if line == 1:
        column += start - (raw.rfind(b"\n", 0, start) + 1) - added
    line += raw.count(b"\n", 0, start)
    return f"{said[: found.start()]} at line {line} column {column}"


def _check_keys(state: _Open, before: bytes, value: Any, kept: int) -> None:
    """Refuse keys that objects of earlier pieces have. Forget those of objects that are closed."""
    for level, bracket in enumerate(before):
        if bracket == ord("["):
            value = value[0]
            continue
        found = value.keys() - {_BEFORE, _AFTER}
        if twice := state.keys[level] & found:
            raise PieceInvalid(
                f"it is not strict JSON: Detected duplicate key {json.dumps(twice.pop())}"
            )
        if level < kept:
            state.keys[level] |= found
        value = value[_BEFORE]
    del state.keys[kept:]


def _keys_at_end(value: Any, brackets: bytearray, kept: int) -> list[set[str]]:
    """Return the keys of the objects that the piece opened and left open."""
    found: list[set[str]] = []
    for level, bracket in enumerate(brackets):
        is_object = bracket == ord("{")
        if level >= kept:
            found.append(value.keys() - {_AFTER} if is_object else set())
        if level < len(brackets) - 1:
            value = next(reversed(value.values())) if is_object else value[-1]
    return found
