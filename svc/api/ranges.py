"""Requests for a part of an entry (RFC 9110 §14). Pure."""

from __future__ import annotations

import re
from typing import Final

from ..domain.errors import RangeNotSatisfiable

#: One range of bytes. Without a match, the header is ignored: another unit, no range, or several
#: ranges, which a server may ignore (§14.2).
_RANGE: Final = re.compile(
    r"bytes=[\s,]*(?:(\d{1,4000})-(\d{0,4000})|-(\d{1,4000}))[\s,]*", re.IGNORECASE | re.ASCII
)


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Return the first position and the one after the last; None if the range is to be ignored.

    ``size`` is the length of the whole, in bytes. Raises RangeNotSatisfiable.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        return None
    if found[3] is not None:  # the last bytes
        length = int(found[3])
        if not length:
            raise RangeNotSatisfiable(size)
        return (max(0, size - length), size) if size else None
    first = int(found[1])
    last = int(found[2]) if found[2] else first
    if last < first:
        return None
    if first >= size:
        raise RangeNotSatisfiable(size)
    return first, min(last + 1, size) if found[2] else size
