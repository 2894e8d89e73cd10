"""The format of an entry in Redis: one string, made of a small binary header and the body.

Format 1, big-endian, offset and length in bytes::

    0   1   format (1)
    1   1   flags: bit 0 is set if the body passed strict JSON validation
    2   8   time of writing, ms by the server's clock
    10  8   time of expiry, ms by the server's clock; 0: never
    18  16  version, never reused: the ETag
    34  4   body length in bytes
    38  1   content type length in bytes
    39  n   content type, ASCII
    …       body

``head`` is the first two bytes and ``tail`` everything from the version on; the scripts insert the
two times between them. Canary and stable share one Redis, so a release that writes a new format
must come after a release that reads it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from typing import Final

from ..domain.errors import StoreCorrupt
from ..domain.model import Draft, Entry, EntrySummary

FORMAT: Final = 1
FLAG_JSON: Final = 1
#: The bytes that summarise() needs: the fixed header and the longest content type.
HEADER_BYTES: Final = 39 + 255

_FIXED: Final = struct.Struct(">BBQQ16sIB")
_FIXED_BYTES: Final = _FIXED.size
_unpack: Final = _FIXED.unpack_from
_HEADS: Final = (bytes((FORMAT, 0)), bytes((FORMAT, FLAG_JSON)))
_LENGTHS: Final = struct.Struct(">IB")


class Versions:
    """Makes unique versions: 10 bytes that are random for each process, then a 6-byte count."""

    def __init__(self) -> None:
        self._nonce = os.urandom(10)
        self._count = count(1)

    def next(self) -> bytes:
        return self._nonce + next(self._count).to_bytes(6, "big")


@lru_cache(256)
def _text_of(content_type: bytes) -> str:
    """Decode a content type; most entries have one of a few."""
    return str(content_type, "ascii")


def etag_of(version: bytes) -> str:
    """Render the version as a strong ETag."""
    return f'"{version.hex()}"'


def version_of(etag: str) -> bytes | None:
    """Return the version of an ETag in header form; None if this service did not make the ETag."""
    try:
        version = bytes.fromhex(etag[1:-1])
    except ValueError:
        return None
    return version if len(version) == 16 and etag == etag_of(version) else None


def encode(draft: Draft, version: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the draft's head, and the parts of its tail, as in the format above."""
    content_type = draft.content_type.encode("ascii")
    lengths = _LENGTHS.pack(len(draft.body), len(content_type))
    return _HEADS[draft.is_json], (version, lengths, content_type, draft.body)


def decode(raw: bytes, now_ms: int) -> Entry:
    """Decode a stored entry; ``now_ms`` is the server's time. Raises StoreCorrupt."""
    (entry,) = decode_all((raw,), now_ms)
    return entry


def decode_all(raws: Iterable[bytes], now_ms: int) -> list[Entry]:
    """Decode stored entries as decode does. Raises StoreCorrupt if any is unreadable.

    Every read comes through here, so nothing is called that can be inlined.
    """
    entries: list[Entry] = []
    type_before, content_type = b"", ""
    for raw in raws:
        try:
            form, flags, written, expires, version, size, type_size = _unpack(raw)
            start = _FIXED_BYTES + type_size
            # Most entries have the content type of the one before.
            if (type_bytes := raw[_FIXED_BYTES:start]) != type_before:
                content_type, type_before = _text_of(type_bytes), type_bytes
        except (struct.error, UnicodeDecodeError):
            raise unreadable(raw) from None
        if form != FORMAT or len(raw) != start + size:
            raise unreadable(raw)
        # The estimate of the server's clock is off by up to a round trip. It must not be earlier
        # than the time of writing.
        now = written if written > now_ms else now_ms  # noqa: FURB136 - max() takes twice as long
        entries.append(
            Entry(
                raw[start:],
                content_type,
                f'"{version.hex()}"',
                written // 1000,
                # remaining_seconds
                (-((now - expires) // 1000) if expires > now else 1) if expires else None,
                flags & FLAG_JSON == FLAG_JSON,
            )
        )
    return entries


def try_decode(raw: bytes, now_ms: int) -> Entry | StoreCorrupt:
    """Decode a stored entry, or return the error."""
    try:
        return decode(raw, now_ms)
    except StoreCorrupt as error:
        return error


def summarise(key: str, raw: bytes, now_ms: int) -> EntrySummary:
    """Decode the first HEADER_BYTES of a stored entry. Raises StoreCorrupt."""
    try:
        form, _, written, expires, version, size, type_size = _FIXED.unpack_from(raw)
        content_type = str(raw[_FIXED_BYTES : _FIXED_BYTES + type_size], "ascii")
    except (struct.error, UnicodeDecodeError):
        raise unreadable(raw) from None
    if form != FORMAT:
        raise unreadable(raw)
    ttl = remaining_seconds(expires, max(now_ms, written)) if expires else None
    return EntrySummary(key, etag_of(version), ttl, size, content_type)


def expiry_of(raw: bytes) -> int:
    """Return when a stored entry expires, in ms by the server's clock; 0: never."""
    return int.from_bytes(raw[10:18], "big")


def remaining_seconds(expires_ms: int, now_ms: int) -> int:
    """Return the remaining time in whole seconds, rounded up, at least 1."""
    return max(1, -((now_ms - expires_ms) // 1000))


def later_format(form: int) -> StoreCorrupt:
    return StoreCorrupt(
        f"the store holds format {form} there, which a later release wrote; this one reads {FORMAT}"
    )


def unreadable(raw: bytes) -> StoreCorrupt:
    if raw and raw[0] > FORMAT:
        return later_format(raw[0])
    return StoreCorrupt("the store holds something else than an entry under this key")
