"""JSON read strictly: what two readers could understand differently is refused.

Refused with BodyInvalid: duplicate keys, NaN and infinities (also as ``1e999``), lone surrogates,
integers beyond Python's 4300 digits, more than 64 levels, anything after the value.
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
    """Return the value as Python objects; raise BodyInvalid."""
    try:
        value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
        # jiter turns 1e999 into infinity; msgspec refuses it, and is cheap to ask as well.
        msgspec.json.decode(raw)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BodyInvalid(f"{what}: it is not strict JSON: {error}") from None
    # A document without more brackets than that can't be too deep.
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise BodyInvalid(f"{what}: it nests deeper than {MAX_DEPTH} levels")
    return value


def read_body(raw: bytes, decoder: msgspec.json.Decoder[Body], what: str = "body") -> Body:
    """Read a body of a declared type; raise BodyInvalid, which names the field."""
    body = decode_body(raw, decoder, what)
    refuse_duplicates(raw, what)
    return body


def decode_body(raw: bytes, decoder: msgspec.json.Decoder[Body], what: str = "body") -> Body:
    """Read a body of a declared type, equal keys or not; raise BodyInvalid.

    The type leaves no room for deep or infinite values. A ``msgspec.Raw`` field is read with
    ``read_json`` by whoever keeps it.
    """
    try:
        return decoder.decode(raw)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BodyInvalid(f"{what}: {error}") from None


def refuse_duplicates(raw: bytes, what: str = "body") -> None:
    """Raise BodyInvalid for two equal keys in an object, of which msgspec takes the last."""
    try:
        jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise BodyInvalid(f"{what}: {error}") from None


def stand_as_often(names: Mapping[str, int], raw: bytes) -> bool:
    """Tell, cheaply, that each name stands in quotes just so often, and none behind an escape.

    False only means that it takes a closer look.
    """
    return b"\\" not in raw and all(
        raw.count(b'"%b"' % name.encode()) == times for name, times in names.items()
    )


def write_json(value: Any) -> bytes:
    """Render Python objects as compact JSON, integers of any size exactly."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        containers = [v for v in level if isinstance(v, (dict, list))]
        if not containers:
            break
        deepest += 1
        level = [child for c in containers for child in (c.values() if isinstance(c, dict) else c)]
    return deepest
