"""The types of all request bodies, queries and response bodies of the API."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from ..domain.errors import QueryInvalid
from ..domain.model import INT64_MAX, INT64_MIN, MAX_TTL_SECONDS, CounterSummary, EntrySummary

Int64 = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
TtlSeconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL_SECONDS)]
#: ``?ttl=``: whole seconds; ``none``: the entry never expires; ``keep``: the TTL is unchanged.
TtlText = Annotated[str, msgspec.Meta(pattern=r"^(none|keep|[1-9][0-9]{0,8})(?![\s\S])")]

#: ``?limit=``: 1 to 1000. A text pattern, because a conversion would accept 1e1 and 10.0 too.
PageLimit = Annotated[str, msgspec.Meta(pattern=r"^([1-9][0-9]{0,2}|1000)(?![\s\S])")]

#: What each parameter must be, for the message about one that does not match its pattern.
HINTS: Final = {
    "ttl": f"whole seconds from 1 to {MAX_TTL_SECONDS}, none, or keep",
    "limit": "a whole number from 1 to 1000",
    "prefix": "at most 512 characters",
    "cursor": "the next_cursor of the page before",
}


class WriteQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ttl: TtlText | None = None


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prefix: Annotated[str, msgspec.Meta(max_length=512)] = ""
    limit: PageLimit = "100"
    cursor: Annotated[str, msgspec.Meta(max_length=6000)] | None = None


class EntryWritten(msgspec.Struct, frozen=True, gc=False):
    key: str
    etag: str
    ttl: int | None


class EntryPage(msgspec.Struct, frozen=True):
    items: list[EntrySummary]
    next_cursor: str | None


class IncrementBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: Int64 = 1
    min: Int64 | None = None
    max: Int64 | None = None
    on_bound: Literal["reject", "clamp"] = "reject"
    ttl: TtlSeconds | None = None
    ttl_on: Literal["create", "touch"] = "create"


class CounterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Int64
    ttl: TtlSeconds | None = None


class CounterRead(msgspec.Struct, frozen=True, gc=False):
    name: str
    value: int
    value_text: str
    ttl: int | None


class CounterStepped(msgspec.Struct, frozen=True, gc=False):
    name: str
    value: int
    value_text: str
    applied_by: int


class CounterSet(msgspec.Struct, frozen=True, gc=False):
    name: str
    value: int
    value_text: str
    previous: int | None
    previous_text: str | None
    ttl: int | None


class CounterPage(msgspec.Struct, frozen=True):
    items: list[CounterSummary]
    next_cursor: str | None


class GetOperation(msgspec.Struct, tag_field="op", tag="get", forbid_unknown_fields=True, gc=False):
    key: str
    #: As the headers If-Match and If-None-Match; a single ETag may come without its quotes.
    if_match: str | None = None
    if_none_match: str | None = None


class PutOperation(msgspec.Struct, tag_field="op", tag="put", forbid_unknown_fields=True, gc=False):
    key: str
    #: Exactly one of the two: any JSON value, or bytes in base64.
    value: msgspec.Raw = msgspec.Raw(b"")
    value_b64: str | None = None
    content_type: str | None = None
    ttl: TtlSeconds | Literal["none", "keep"] | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    idempotency_key: str | None = None


class DeleteOperation(
    msgspec.Struct, tag_field="op", tag="delete", forbid_unknown_fields=True, gc=False
):
    key: str
    if_match: str | None = None
    if_none_match: str | None = None
    idempotency_key: str | None = None


class AddOperation(msgspec.Struct, tag_field="op", tag="add", forbid_unknown_fields=True, gc=False):
    counter: str
    by: Int64 = 1
    if_match: str | None = None
    if_none_match: str | None = None
    idempotency_key: str | None = None


BatchOperation = GetOperation | PutOperation | DeleteOperation | AddOperation


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    operations: list[BatchOperation]


class BatchGot(msgspec.Struct, omit_defaults=True, gc=False):
    status: int
    key: str
    etag: str
    #: None: it never expires.
    ttl: int | None
    content_type: str
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    #: Rendered in base64, as msgspec renders bytes.
    value_b64: bytes | msgspec.UnsetType = msgspec.UNSET


class BatchUnchanged(msgspec.Struct, gc=False):
    status: int
    key: str
    etag: str


class BatchPut(msgspec.Struct, omit_defaults=True, gc=False):
    status: int
    key: str
    etag: str
    ttl: int | None
    replayed: bool = False


class BatchDeleted(msgspec.Struct, omit_defaults=True, gc=False):
    status: int
    key: str
    replayed: bool = False


class BatchAdded(msgspec.Struct, omit_defaults=True, gc=False):
    status: int
    name: str
    value: int
    value_text: str
    applied_by: int
    replayed: bool = False


class Hits(msgspec.Struct, frozen=True):
    count: int
    pod: str
    version: str
    track: str


def parse_ttl(text: str | None, default_seconds: int) -> int | None | Literal["keep"]:
    """Parse a TTL that matched TtlText. Raises QueryInvalid."""
    if text is None:
        return default_seconds
    if text == "keep":
        return "keep"
    if text == "none":
        return None
    if int(text) > MAX_TTL_SECONDS:
        raise QueryInvalid(f"ttl: it must be {HINTS['ttl']}")
    return int(text)


_encode: Final = msgspec.json.Encoder().encode
JSON: Final = {"Content-Type": "application/json"}


def render_json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(body), status=status, headers=JSON)


def add_next_link(
    response: web.Response, path: str, query: ListQuery, next_cursor: str | None
) -> None:
    """Add a listing's headers: Cache-Control, and a Link to the next page (RFC 8288) if any."""
    response.headers["Cache-Control"] = "no-store"
    if next_cursor is not None:
        parameters = {"prefix": query.prefix, "limit": query.limit, "cursor": next_cursor}
        response.headers["Link"] = f'<{path}?{urlencode(parameters)}>; rel="next"'
