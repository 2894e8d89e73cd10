"""Build the requests of the API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from ..domain.errors import DomainError
from ..domain.model import CounterName, Key
from .errors import Invalid
from .exchange import Request
from .values import Ttl

MERGE_PATCH: Final = "application/merge-patch+json"
JSON: Final = {"Content-Type": "application/json"}

_encode: Final = msgspec.json.Encoder().encode


def entry_target(key: str, query: Mapping[str, str] | None = None) -> str:
    """Return the target of an entry. Raises Invalid if it is no key."""
    try:
        Key(key)
    except DomainError as error:
        raise Invalid(str(error), code=error.slug) from None
    return f"/v1/kv/{quote(key)}{_query(query)}"


def counter_target(name: str, rest: str = "") -> str:
    """Return the target of a counter. Raises Invalid if it is no counter's name."""
    try:
        CounterName(name)
    except DomainError as error:
        raise Invalid(str(error), code=error.slug) from None
    return f"/v1/counters/{name}{rest}"


def listing_target(
    collection: str, prefix: str, cursor: str | None, **others: str | int | None
) -> str:
    """Return the target of a page of ``kv`` or ``counters``."""
    given = {"prefix": prefix or None, **others, "cursor": cursor}
    return f"/v1/{collection}{_query({k: str(v) for k, v in given.items() if v is not None})}"


def _query(parameters: Mapping[str, str] | None) -> str:
    try:
        return "?" + urlencode(parameters, quote_via=quote) if parameters else ""
    except UnicodeEncodeError:
        raise Invalid("prefix: it must be valid UTF-8", code="query_invalid") from None


def ttl_query(ttl: Ttl) -> dict[str, str]:
    return {} if ttl is None else {"ttl": str(ttl)}


def read_request(target: str, headers: Mapping[str, str] | None = None) -> Request:
    return Request("GET", target, headers or {}, is_repeatable=True)


def write_request(
    method: str,
    target: str,
    body: bytes = b"",
    *,
    headers: Mapping[str, str] | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    idempotency_key: str | None = None,
    settles: bool = False,
) -> Request:
    """Build a change. It may be repeated if it has an idempotency key.

    ``settles``: or if it has a condition, as an entry's ETag never comes back.
    """
    sent = dict(headers or {})
    if if_match is not None:
        sent["If-Match"] = if_match
    if if_none_match is not None:
        sent["If-None-Match"] = if_none_match
    if idempotency_key is not None:
        sent["Idempotency-Key"] = _quoted(idempotency_key)
    is_repeatable = idempotency_key is not None or (
        settles and (if_match is not None or if_none_match is not None)
    )
    return Request(method, target, sent, body, is_repeatable, idempotency_key)


def _quoted(key: str) -> str:
    """Return the key as a string of RFC 8941. Raises Invalid."""
    if not (1 <= len(key) <= 255 and key.isascii() and all("!" <= each <= "~" for each in key)):
        raise Invalid("idempotency_key: it must be 1 to 255 visible ASCII characters")
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def json_body(body: msgspec.Struct) -> bytes:
    """Return the body as JSON, without the members that have their defaults."""
    config = body.__struct_config__
    members = {} if config.tag_field is None else {config.tag_field: config.tag}
    for each in msgspec.structs.fields(body):
        value, default = getattr(body, each.name), each.default
        if each.default_factory is not msgspec.NODEFAULT:
            default = each.default_factory()
        if value != default:
            members[each.encode_name] = value
    try:
        return _encode(members)
    except OverflowError as error:
        raise Invalid(f"body: {error}", code="body_invalid") from None
