"""Strict JSON: refuse documents that two parsers could understand differently. Pure.

Refused with BodyInvalid: duplicate keys, NaN and infinities (also as ``1e999``), lone surrogates,
integers of more than 4300 digits, more than MAX_DEPTH levels, more than MAX_NODES nodes, and
anything after the value.

A parser holds up every other request of the process for as long as it runs. So each document is
parsed once, nothing is kept of what was parsed, and the members of an object are left as bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final, TypeVar

import jiter
import msgspec

from ..domain.errors import BodyInvalid
from .json_pieces import PieceInvalid, parse_pieces

MAX_DEPTH: Final = 64
#: Arrays, objects and members of objects. Each takes a parser a few tenths of a microsecond.
MAX_NODES: Final = 200_000
#: A longer document is parsed in pieces.
LARGE_BYTES: Final = 65_536

Body = TypeVar("Body")

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: Shows each digit as 0 and each E as e.
_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
#: The least digits of a number beyond a double, which may have a fraction.
_MANY_DIGITS: Final = b"0" * 309


def check_json(raw: bytes, what: str = "body") -> None:
    """Raise BodyInvalid unless the document is strict JSON; ``what`` names it."""
    for _ in check_steps(raw, what):
        pass


def check_steps(raw: bytes, what: str = "body") -> Generator[None, None, None]:
    """Check the document as check_json does, in steps of a few milliseconds."""
    try:
        # With fewer brackets than MAX_DEPTH, the document can't be too deep.
        if len(raw) <= LARGE_BYTES and raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
            try:
                _parse(raw)
            except ValueError as error:
                raise PieceInvalid(f"it is not strict JSON: {error}") from None
        else:
            yield from parse_pieces(raw, _parse, MAX_DEPTH, MAX_NODES)
    except PieceInvalid as error:
        raise BodyInvalid(f"{what}: {error}") from None


def _parse(raw: bytes) -> Any:
    """Parse a document of any depth. Raises ValueError."""
    # Without a cache: it would keep thousands of clients' strings, each in a page of its own.
    value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="none")
    if _may_be_infinite(raw):
        try:
            msgspec.json.decode(raw)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None
    return value


def _may_be_infinite(raw: bytes) -> bool:
    """Return False if no number is beyond a double. jiter turns 1e999 into infinity."""
    shown = raw.translate(_DIGITS)
    return b"0e000" in shown or b"0e+000" in shown or _MANY_DIGITS in shown


def check_nodes(raw: bytes, what: str = "body") -> None:
    """Raise BodyInvalid if the document has more than MAX_NODES nodes."""
    # Each node takes a byte at least. A string's bytes count only where they make a difference.
    if len(raw) <= MAX_NODES or _nodes(raw) <= MAX_NODES:
        return
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    count = _nodes(b"".join(unescaped.split(b'"')[::2]))
    if count > MAX_NODES:
        raise BodyInvalid(
            f"{what}: it has {count} arrays, objects and members; at most {MAX_NODES} are allowed"
        )


def _nodes(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{") + raw.count(b":")


def read_body(raw: bytes, decoder: msgspec.json.Decoder[Body], what: str = "body") -> Body:
    """Decode a body of the decoder's type. Raises BodyInvalid, whose message names the field."""
    body = decode_body(raw, decoder, what)
    reject_duplicate_keys(raw, what)
    return body


def decode_body(raw: bytes, decoder: msgspec.json.Decoder[Body], what: str = "body") -> Body:
    """Decode a body of the decoder's type, without a check for duplicate keys. Raises BodyInvalid.

    Such a type can't hold deep or infinite values, except in a ``msgspec.Raw`` field, which the
    caller must check with ``check_json``.
    """
    try:
        return decoder.decode(raw)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BodyInvalid(f"{what}: {error}") from None


def reject_duplicate_keys(raw: bytes, what: str = "body") -> None:
    """Raise BodyInvalid if an object has duplicate keys; msgspec would take the last one."""
    try:
        jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="none")
    except ValueError as error:
        raise BodyInvalid(f"{what}: {error}") from None


def occur_exactly(names: Mapping[str, int], raw: bytes) -> bool:
    """Return True if each quoted name occurs exactly so often, and the document has no escapes.

    This is a fast check. False does not mean that the document is wrong.
    """
    return b"\\" not in raw and all(
        raw.count(b'"%b"' % name.encode()) == times for name, times in names.items()
    )


def read_members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    """Return the members of an object, each as its bytes; None if the value is no object.

    The document must have been checked. Bytes keep numbers to the digit: ``1.10``, ``1e-400``.
    """
    try:
        return _members.decode(raw)
    except msgspec.ValidationError:
        return None


#: Render what read_members returned. Only the space between the members is lost.
write_members: Final[Any] = msgspec.json.Encoder().encode
