"""Bodies that are large, or become large."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

MIB: Final = 1 << 20
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}


def compressed(body: bytes, coding: str = "gzip") -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW_BITS[coding])
    return packer.compress(body) + packer.flush()


def bomb(mebibytes: int, coding: str = "gzip") -> Iterator[bytes]:
    """Yield the parts of zeros compressed a thousandfold: a kibibyte each, a mebibyte in truth.

    After a full flush each part is packed alike, so that only two of them need be packed.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW_BITS[coding])
    zeros = bytes(MIB)
    yield packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(mebibytes - 1):
        yield part


def chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)
