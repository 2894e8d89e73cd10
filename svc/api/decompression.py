"""Decompress request bodies with a bound on the result, against decompression bombs. Pure."""

from __future__ import annotations

import zlib
from typing import Final

from ..domain.errors import BodyInvalid, BodyTooLarge, ContentCodingUnsupported

#: zlib's window parameter for the gzip format.
_GZIP: Final = 16 + zlib.MAX_WBITS


def decompressor(coding: str, limit: int, what: str) -> Decompressor:
    """Return a decompressor for the content coding, which is in lower case.

    ``limit`` is the most bytes of the result, and ``what`` names the body in error messages.
    Raises ContentCodingUnsupported.
    """
    if coding in {"gzip", "x-gzip"}:
        return Decompressor(_GZIP, limit, what)
    if coding == "deflate":
        return Decompressor(zlib.MAX_WBITS, limit, what)
    raise ContentCodingUnsupported(f"Content-Encoding: {coding!r} can't be undone here")


class Decompressor:
    """Decompresses one stream, by at most ``limit`` + 1 bytes in one call."""

    def __init__(self, window: int, limit: int, what: str) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._limit = limit
        self._what = what
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """Return the decompressed data. Raises BodyTooLarge, BodyInvalid."""
        if not self._started and data:
            self._started = True
            # RFC 9110 §8.4.1.2: some clients send a raw deflate stream, without zlib's header.
            if self._window == zlib.MAX_WBITS and data[0] & 0x0F != zlib.DEFLATED:
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            body = self._stream.decompress(data, self._limit + 1)
        except zlib.error as error:
            raise BodyInvalid(f"{self._what}: it can't be decompressed: {error}") from None
        if self._stream.unconsumed_tail or len(body) > self._limit:
            raise BodyTooLarge(f"{self._what}: it unfolds to more than {self._limit} bytes")
        if self._stream.unused_data:
            raise BodyInvalid(f"{self._what}: something follows its compressed data")
        return body

    def finish(self) -> None:
        """Raise BodyInvalid unless the stream is complete."""
        if not self._stream.eof:
            raise BodyInvalid(f"{self._what}: its compressed data is cut short")
