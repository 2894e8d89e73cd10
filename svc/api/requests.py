"""Reading a request: its key, its query, its headers, its body, each with a bound."""

from __future__ import annotations

import asyncio
import re
from hashlib import blake2b
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from aiohttp import hdrs, web

from ..domain.errors import BodyTimeout, BodyTooLarge, HeaderInvalid, KeyInvalid, QueryInvalid
from ..domain.model import CounterName, Key, Operation, Precondition
from .bodies import HINTS
from .context import LIMITS
from .inflating import inflater

_PLAIN_KEY_PATH: Final = re.compile(r"/v1/kv/[^%?#\x80-\U0010ffff]+")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENTITY_TAG: Final = re.compile(r'\s*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_BARE_KEY: Final = re.compile(r"[!-~]{1,255}")
_QUOTED_KEY: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,510})"')

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

Query = TypeVar("Query")


def raw_rest(request: web.Request, segments: int) -> str:
    """Return the raw path, undecoded, after its first ``segments`` segments.

    Not from ``match_info``, which can't tell ``%FF`` from ``%25FF``.
    """
    path = request.raw_path.partition("?")[0]
    if not path.startswith("/"):  # absolute form, as a proxy sends it
        path = "/" + path.partition("://")[2].partition("/")[2]
    return path.split("/", segments + 1)[segments + 1]


def decode_path(raw: str) -> str:
    """Percent-decode exactly once, strictly; raise KeyInvalid."""
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
    """Return the key of ``/v1/kv/{key}``; raise KeyInvalid or KeyTooLong."""
    path = request.raw_path
    # Most paths are plain, and every entry's request passes here: no more calls than needed.
    if _PLAIN_KEY_PATH.fullmatch(path) is not None:
        return Key(path[7:])
    return Key(decode_path(raw_rest(request, 2)))


def counter_of(request: web.Request) -> CounterName:
    """Return the name of ``/v1/counters/{name}…``; raise CounterNameInvalid."""
    return CounterName(request.match_info["name"])


def read_query(request: web.Request, kind: type[Query]) -> Query:
    """Read the query as the declared type; raise QueryInvalid, which names the parameter."""
    raw = request.rel_url.raw_query_string
    if not raw:
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
        name = str(error).rpartition("$.")[2].rstrip("`")
        if name in HINTS:
            raise QueryInvalid(f"{name}: it must be {HINTS[name]}") from None
        raise QueryInvalid(f"query: {error}") from None


def precondition_of(request: web.Request) -> Precondition | None:
    """Return what If-Match and If-None-Match ask; raise HeaderInvalid."""
    headers = request.headers
    if hdrs.IF_UNMODIFIED_SINCE in headers:
        raise HeaderInvalid("If-Unmodified-Since: whole seconds can't guard a write; use If-Match")
    if hdrs.IF_MATCH not in headers and hdrs.IF_NONE_MATCH not in headers:
        return None
    return Precondition(
        if_match=entity_tags(request, hdrs.IF_MATCH),
        if_none_match=entity_tags(request, hdrs.IF_NONE_MATCH),
    )


def entity_tags(request: web.Request, header: str) -> tuple[str, ...] | None:
    """Read a header of RFC 9110 §13.1.1 form; None when it was not sent; raise HeaderInvalid.

    If-Match compares strongly, so a weak tag there stays weak and matches nothing.
    """
    lines = request.headers.getall(header, None)
    if lines is None:
        return None
    tags = parse_entity_tags(",".join(lines), header)
    if header == hdrs.IF_NONE_MATCH:
        return tuple(tag.removeprefix("W/") for tag in tags)
    return tags


def parse_entity_tags(text: str, field: str) -> tuple[str, ...]:
    """Read ``*`` or a list of ETags in quotes; raise HeaderInvalid, naming the field."""
    text = text.strip()
    if text == "*":
        return ("*",)
    tags, at = [], 0
    while at < len(text):
        found = _ENTITY_TAG.match(text, at)
        if found is None:
            raise HeaderInvalid(f'{field}: it must be * or a list of ETags in quotes, as "abc"')
        tags.append(found[1])
        at = found.end()
    if not tags:
        raise HeaderInvalid(f"{field}: it is empty")
    return tuple(tags)


def wants_minimal(request: web.Request) -> bool:
    """Tell whether ``Prefer: return=minimal`` was sent (RFC 7240)."""
    if "Prefer" not in request.headers:
        return False
    preferences = ",".join(request.headers.getall("Prefer")).replace(" ", "").lower().split(",")
    return "return=minimal" in preferences


def idempotency_key_of(request: web.Request) -> str | None:
    """Return the key, unquoted; raise HeaderInvalid."""
    if IDEMPOTENCY_KEY not in request.headers:
        return None
    lines = request.headers.getall(IDEMPOTENCY_KEY)
    if len(lines) > 1:
        raise HeaderInvalid(f"{IDEMPOTENCY_KEY}: it is given more than once")
    return parse_idempotency_key(lines[0].strip(), IDEMPOTENCY_KEY)


def parse_idempotency_key(text: str, field: str) -> str:
    """Read a key in quotes (RFC 8941) or bare; raise HeaderInvalid, naming the field."""
    key = text
    if found := _QUOTED_KEY.fullmatch(text):
        key = re.sub(r"\\(.)", r"\1", found[1])
    if not _BARE_KEY.fullmatch(key) or (key is text and '"' in (text[0], text[-1])):
        raise HeaderInvalid(f"{field}: it must be 1 to 255 visible ASCII characters")
    return key


def operation_of(request: web.Request, resource: str, body: bytes) -> Operation | None:
    """Return what identifies this request across retries; None without an idempotency key."""
    key = idempotency_key_of(request)
    if key is None:
        return None
    headers = request.headers
    payload = (
        request.method,
        request.rel_url.raw_query_string,
        headers.get(hdrs.CONTENT_TYPE, ""),
        ",".join(headers.getall(hdrs.IF_MATCH, ())),
        ",".join(headers.getall(hdrs.IF_NONE_MATCH, ())),
    )
    return build_operation(key, resource, msgspec.json.encode(payload) + body)


def build_operation(key: str, resource: str, payload: bytes) -> Operation:
    """Digest the key with its resource, and the payload; ``resource`` is ``kv:…`` or ``ct:…``."""
    return Operation(
        blake2b(f"{resource}\0{key}".encode(), digest_size=16).digest(),
        blake2b(payload, digest_size=16).digest(),
    )


async def read_bytes(request: web.Request, limit: int, what: str = "value") -> bytes:
    """Read the whole body, decompressed, within ``limit`` bytes and the deadline.

    Raises BodyTooLarge, BodyTimeout, BodyInvalid, ContentCodingUnsupported.
    """
    content = request.content
    inflate = None
    if hdrs.CONTENT_ENCODING in request.headers:
        inflate = inflater(request.headers[hdrs.CONTENT_ENCODING], limit, what)
    declared = request.content_length
    if declared is not None and declared > limit:
        raise BodyTooLarge(f"{what}: it is {declared} bytes long; at most {limit} are allowed")
    # A small body arrives with its head: no need for a timer then.
    if content.is_eof() and inflate is None:
        body = content.read_nowait()
        if len(body) > limit:
            raise BodyTooLarge(f"{what}: it is longer than the {limit} bytes allowed")
        return body
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(request.app[LIMITS].body_timeout_seconds):
            while part := await content.readany():
                if inflate is not None:
                    part = inflate.feed(part)
                size += len(part)
                if size > limit:
                    raise BodyTooLarge(f"{what}: it is longer than the {limit} bytes allowed")
                parts.append(part)
    except TimeoutError:
        raise BodyTimeout(f"{what}: the rest of the body did not come in time") from None
    if inflate is not None:
        inflate.finish()
    return b"".join(parts)
