"""Large and compressed request bodies."""

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
    """Yield compressed parts of about 1 KiB; each is 1 MiB of zeros when decompressed.

    After a full flush all parts are equal, so only the first two are compressed.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW_BITS[coding])
    zeros = bytes(MIB)
    yield packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(mebibytes - 1):
        yield part


def chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)
