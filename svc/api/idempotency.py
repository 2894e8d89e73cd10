"""The Idempotency-Key header: read it, and identify a request across its retries.

A retry is recognised in Redis, by the record of the operation: in ``stores/scripts/*.lua`` where a
script has an operation's key (``put.lua``, ``add.lua`` and others), and in ``claim.lua``,
``recall.lua`` and ``refuse.lua``.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

import msgspec
from aiohttp import hdrs, web

from ..domain.errors import HeaderInvalid
from ..domain.model import Operation

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

_BARE_KEY: Final = re.compile(r"[!-~]{1,255}")
_QUOTED_KEY: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,510})"')


def operation_of(request: web.Request, resource: str, body: bytes) -> Operation | None:
    """Return what identifies this request across retries; None without an idempotency key.

    ``resource`` is as in build_operation. Raises HeaderInvalid.
    """
    if IDEMPOTENCY_KEY not in request.headers:
        return None
    lines = request.headers.getall(IDEMPOTENCY_KEY)
    if len(lines) > 1:
        raise HeaderInvalid(f"{IDEMPOTENCY_KEY}: it is given more than once")
    key = parse_idempotency_key(lines[0].strip(), IDEMPOTENCY_KEY)
    headers = request.headers
    payload = [
        request.method,
        request.rel_url.raw_query_string,
        headers.get(hdrs.CONTENT_TYPE, ""),
        ",".join(headers.getall(hdrs.IF_MATCH, ())),
        ",".join(headers.getall(hdrs.IF_NONE_MATCH, ())),
    ]
    # aiohttp decodes bytes that are not UTF-8 to lone surrogates, which JSON can't hold.
    payload = [text.encode("utf-8", "backslashreplace").decode() for text in payload]
    return build_operation(key, resource, msgspec.json.encode(payload) + body)


def parse_idempotency_key(text: str, field: str) -> str:
    """Return the key without its quotes (RFC 8941 strings); a bare key is accepted too.

    Raises HeaderInvalid, whose message names the field.
    """
    key = text
    if found := _QUOTED_KEY.fullmatch(text):
        key = re.sub(r"\\(.)", r"\1", found[1])
    if not _BARE_KEY.fullmatch(key) or (key is text and '"' in (text[0], text[-1])):
        raise HeaderInvalid(f"{field}: it must be 1 to 255 visible ASCII characters")
    return key


def operation_on_member(operation: Operation, member: str) -> Operation:
    """Return the operation that writes the new member. Its record stands for no other member."""
    return Operation(
        blake2b(operation.id + member.encode(), digest_size=16).digest(), operation.fingerprint
    )


def build_operation(key: str, resource: str, payload: bytes) -> Operation:
    """Hash the key together with its resource, and the payload, into 16 bytes each.

    ``resource`` is ``kv:<key>`` or ``ct:<counter>``.
    """
    return Operation(
        blake2b(f"{resource}\0{key}".encode(), digest_size=16).digest(),
        blake2b(payload, digest_size=16).digest(),
    )
