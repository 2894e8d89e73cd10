"""Strict JSON parsing: refuse documents that two parsers could understand differently. Pure.

Refused with BodyInvalid: duplicate keys, NaN and infinities (also as ``1e999``), lone surrogates,
integers of more than 4300 digits, more than 64 levels, and anything after the value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import jiter
import msgspec

from ..domain.errors import BodyInvalid

MAX_DEPTH: Final = 64

Body = TypeVar("Body")


def read_json(raw: bytes, what: str = "body") -> Any:
    """Return the value as Python objects. Raises BodyInvalid; ``what`` names the document."""
    try:
        value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
        # jiter turns 1e999 into infinity. msgspec refuses it, and is fast.
        msgspec.json.decode(raw)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BodyInvalid(f"{what}: it is not strict JSON: {error}") from None
    # With fewer brackets than MAX_DEPTH, the document can't be too deep.
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise BodyInvalid(f"{what}: it nests deeper than {MAX_DEPTH} levels")
    return value


def read_body(raw: bytes, decoder: msgspec.json.Decoder[Body], what: str = "body") -> Body:
    """Decode a body of the decoder's type. Raises BodyInvalid, whose message names the field."""
    body = decode_body(raw, decoder, what)
    reject_duplicate_keys(raw, what)
    return body


def decode_body(raw: bytes, decoder: msgspec.json.Decoder[Body], what: str = "body") -> Body:
    """Decode a body of the decoder's type, without a check for duplicate keys. Raises BodyInvalid.

    Such a type can't hold deep or infinite values, except in a ``msgspec.Raw`` field, which the
    caller must check with ``read_json``.
    """
    try:
        return decoder.decode(raw)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BodyInvalid(f"{what}: {error}") from None


def reject_duplicate_keys(raw: bytes, what: str = "body") -> None:
    """Raise BodyInvalid if an object has duplicate keys; msgspec would take the last one."""
    try:
        jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise BodyInvalid(f"{what}: {error}") from None


def occur_exactly(names: Mapping[str, int], raw: bytes) -> bool:
    """Return True if each quoted name occurs exactly so often, and the document has no escapes.

    This is a fast check. False does not mean that the document is wrong.
    """
    return b"\\" not in raw and all(
        raw.count(b'"%b"' % name.encode()) == times for name, times in names.items()
    )


def read_exact(raw: bytes, what: str = "body") -> Any:
    """Return the value as read_json does, but each number as its digits in a ``msgspec.Raw``.

    So ``write_exact`` renders ``1.10``, ``-0`` and ``1e-400`` as they were.
    """
    read_json(raw, what)
    return json.loads(raw, parse_int=_digits, parse_float=_digits)


def _digits(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


#: Render as compact JSON what read_exact returned.
write_exact: Final = msgspec.json.Encoder().encode


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        containers = [v for v in level if isinstance(v, (dict, list))]
        if not containers:
            break
        deepest += 1
        level = [child for c in containers for child in (c.values() if isinstance(c, dict) else c)]
    return deepest
