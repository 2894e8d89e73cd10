"""Read a request's key, query and body. Other modules read its headers."""

from __future__ import annotations

import asyncio
import re
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp.typedefs import Handler

from ..domain.errors import BodyTimeout, BodyTooLarge, KeyInvalid, QueryInvalid
from ..domain.model import CounterName, Key
from .admission import ADMISSION
from .bodies import HINTS, DeleteQuery, NoQuery
from .budget import BUDGET, RECEIVING_BYTES, SMALL_BYTES, take_bytes
from .context import LIFECYCLE
from .decompression import Decompressor, decompressor
from .header_lists import content_coding
from .limits import LIMITS

_PLAIN_KEY_PATH: Final = re.compile(r"/v1/kv/[^%?#\x80-\U0010ffff]+")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

#: How a message of msgspec names the parameter.
_NAMED: Final = re.compile(r"(?:\$\.|required field `)(\w+)`$")
_UNKNOWN: Final = re.compile(r"unknown field `(.*)`$", re.DOTALL)

Query = TypeVar("Query")


def raw_rest(request: web.Request, segments: int) -> str:
    """Return the raw path, undecoded, after its first ``segments`` segments.

    ``match_info`` is not suitable: it decodes the path, and so confuses ``%FF`` with ``%25FF``.
    """
    path = request.raw_path.partition("?")[0]
    return path.split("/", segments + 1)[segments + 1]


def decode_path(raw: str) -> str:
    """Percent-decode once, strictly. Raises KeyInvalid."""
    if "#" in raw:
        raise KeyInvalid("key: '#' must be written as %23")
    if "%" not in raw and raw.isascii():
        return raw
    if _BAD_ESCAPE.search(raw):
        raise KeyInvalid("key: a '%' must be followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode()
    except UnicodeDecodeError:
        raise KeyInvalid("key: it must be valid UTF-8") from None


def key_of(request: web.Request) -> Key:
    """Return the key of ``/v1/kv/{key}``. Raises KeyInvalid, KeyTooLong."""
    path = request.raw_path
    # A fast way for paths that need no decoding, as most do.
    if _PLAIN_KEY_PATH.fullmatch(path) is not None:
        return Key(path[7:])
    return Key(decode_path(raw_rest(request, 2)))


def counter_of(request: web.Request) -> CounterName:
    """Return the name of ``/v1/counters/{name}…``. Raises CounterNameInvalid."""
    return CounterName(request.match_info["name"])


def read_query(request: web.Request, kind: type[Query]) -> Query:
    """Parse the query as the given type. Raises QueryInvalid, whose message names the parameter."""
    raw = request.rel_url.raw_query_string
    if not raw and kind is not DeleteQuery:  # which needs a parameter
        return kind()
    given: dict[str, str] = {}
    try:
        if _BAD_ESCAPE.search(raw):
            raise ValueError  # noqa: TRY301
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise QueryInvalid("query: it must be percent-encoded UTF-8") from None
    for name, value in pairs:
        if name in given:
            raise QueryInvalid(f"{name}: it is given more than once")
        given[name] = value
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        found = _NAMED.search(str(error))
        name = "" if found is None else found[1]
        if name in HINTS:
            raise QueryInvalid(f"{name}: it must be {HINTS[name]}") from None
        if (unknown := _UNKNOWN.search(str(error))) is not None:
            raise QueryInvalid(f"{unknown[1][:100]}: there is no such parameter here") from None
        raise QueryInvalid(f"query: {error}") from None


def without_query(handler: Handler) -> Handler:
    """Let the handler of a GET refuse every parameter."""

    async def handle(request: web.Request) -> web.StreamResponse:
        read_query(request, NoQuery)
        return await handler(request)

    return handle


async def read_bytes(request: web.Request, limit: int, what: str = "value") -> bytes:
    """Read and decompress the whole body, within ``limit`` bytes and the timeout.

    ``what`` names the body in error messages. Raises BodyTooLarge, BodyTimeout, BodyInvalid,
    HeaderInvalid, ContentCodingUnsupported, Overloaded.
    """
    content = request.content
    coding = content_coding(request)
    decompress = decompressor(coding, limit, what) if coding else None
    declared = request.content_length
    if declared is not None and declared > limit:
        raise BodyTooLarge(f"{what}: it is {declared} bytes long; at most {limit} are allowed")
    # A small body has arrived together with the head, so it needs no timeout.
    if content.is_eof() and decompress is None:
        body = content.read_nowait()
        if len(body) > limit:
            raise BodyTooLarge(f"{what}: it is longer than the {limit} bytes allowed")
        if len(body) > SMALL_BYTES:
            take_bytes(request, len(body))
        return body
    request.app[BUDGET].check(declared or 0)
    take_bytes(request, RECEIVING_BYTES)
    if hdrs.EXPECT in request.headers:
        _let_send(request)
    # Without a place meanwhile: clients that send a body slowly, or never, could take all of them.
    admission, lifecycle = request.app[ADMISSION], request.app[LIFECYCLE]
    admission.leave()
    try:
        lifecycle.receiving += 1
        try:
            body = await _receive(request, limit, what, decompress)
        finally:
            lifecycle.receiving -= 1
        await admission.wait_unread(request)
    except BaseException:
        lifecycle.in_flight += 1  # the refusal's
        raise
    return body


def _let_send(request: web.Request) -> None:
    """Tell a client that waits with its body to send it (RFC 9110 §10.1.1)."""
    transport = request.transport
    if request.version == HttpVersion11 and not request.content.total_bytes and transport:
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _receive(
    request: web.Request, limit: int, what: str, decompress: Decompressor | None
) -> bytes:
    """Read a body as it arrives, and take its bytes from the budget before they are kept."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(request.app[LIMITS].body_timeout_seconds):
            while part := await request.content.readany():
                if decompress is not None:
                    part = decompress.feed(part)
                size += len(part)
                if size > limit:
                    raise BodyTooLarge(f"{what}: it is longer than the {limit} bytes allowed")
                take_bytes(request, len(part))
                parts.append(part)
    except TimeoutError:
        raise BodyTimeout(f"{what}: the rest of the body did not come in time") from None
    if decompress is not None:
        decompress.finish()
    return b"".join(parts)
