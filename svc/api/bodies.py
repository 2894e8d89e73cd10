"""The types of all request bodies, queries and response bodies of the API. Pure.

The client builds and reads the same types, so nothing here needs the server's libraries.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from ..domain.errors import Applied, QueryInvalid
from ..domain.model import MAX_TTL_SECONDS, CounterSummary, EntrySummary
from .fields import (
    AnyJson,
    AppliedBy,
    Base64,
    Bound,
    CounterTtl,
    Cursor,
    Digits,
    EtagText,
    IfMatch,
    IfNoneMatch,
    Include,
    Int64,
    KeyText,
    NameText,
    NextCursor,
    NotJsonBytes,
    OnceKey,
    PageLimit,
    Prefix,
    Replayed,
    Status,
    Total,
    TtlLeft,
    TtlSeconds,
    TtlText,
    means,
)

#: What each parameter must be, for the message about one that does not match its pattern.
HINTS: Final = {
    "ttl": f"whole seconds from 1 to {MAX_TTL_SECONDS}, none, or keep",
    "limit": "a whole number from 1 to 1000",
    "prefix": "at most 512 characters, and at least one for a deletion",
    "include": "value",
    "wait": "whole seconds from 0 to 60, such as 30s",
    "cursor": "the next_cursor of the page before",
}


class WriteQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ttl: TtlText | None = None


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prefix: Prefix = ""
    limit: PageLimit = "100"
    cursor: Cursor = None


class DeleteQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    #: Required, so that a parameter that was forgotten never means everything.
    prefix: Annotated[Prefix, msgspec.Meta(min_length=1)]
    limit: PageLimit = "100"
    cursor: Cursor = None


class ListEntriesQuery(ListQuery, frozen=True, forbid_unknown_fields=True):
    include: Include = None


class WaitQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    wait: (
        Annotated[
            str,
            msgspec.Meta(pattern=r"^([0-9]|[1-5][0-9]|60)s?(?![\s\S])"),
            means(
                "Seconds, such as `30s`: wait so long for a change of what `If-None-Match` names.",
                {"type": "string", "pattern": "^([0-9]|[1-5][0-9]|60)s?$"},
            ),
        ]
        | None
    ) = None


class WatchQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prefix: Prefix = ""


class WatchEntriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prefix: Prefix = ""
    include: Include = None


class EntryWritten(msgspec.Struct, frozen=True, gc=False):
    key: KeyText
    etag: EtagText
    ttl: TtlLeft


class EntryListed(EntrySummary, frozen=True, omit_defaults=True, gc=False):
    value: AnyJson | msgspec.UnsetType = msgspec.UNSET
    #: Rendered in base64, as msgspec renders bytes.
    value_b64: NotJsonBytes | msgspec.UnsetType = msgspec.UNSET


class EntryPage(msgspec.Struct, frozen=True):
    items: Annotated[
        list[EntryListed],
        means("The entries of this page; with `include=value` each with `value` or `value_b64`."),
    ]
    next_cursor: NextCursor


class IncrementBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: Annotated[Int64, means("What is added.")] = 1
    min: Bound = None
    max: Bound = None
    on_bound: Annotated[
        Literal["reject", "clamp"],
        means("`reject`: refuse what would pass a bound; `clamp`: add only up to it."),
    ] = "reject"
    ttl: CounterTtl = None
    ttl_on: Annotated[
        Literal["create", "touch"],
        means("`create`: the TTL starts with the counter; `touch`: at every increment."),
    ] = "create"


class CounterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Annotated[Int64, means("What the counter is set to.")]
    ttl: Annotated[TtlSeconds | None, means("Seconds; without it, it never expires.")] = None


class CounterRead(msgspec.Struct, frozen=True, gc=False):
    name: NameText
    value: Total
    value_text: Digits
    ttl: TtlLeft


class CounterStepped(msgspec.Struct, frozen=True, gc=False):
    name: NameText
    value: Total
    value_text: Digits
    applied_by: AppliedBy


class CounterSet(msgspec.Struct, frozen=True, gc=False):
    name: NameText
    value: Total
    value_text: Digits
    previous: Annotated[Int64 | None, means("The value before; null: there was no counter.")]
    previous_text: Annotated[str | None, means("The same digits as text.")]
    ttl: TtlLeft


class CounterPage(msgspec.Struct, frozen=True):
    items: Annotated[list[CounterSummary], means("The counters of this page.")]
    next_cursor: NextCursor


class GetOperation(msgspec.Struct, tag_field="op", tag="get", forbid_unknown_fields=True, gc=False):
    key: KeyText
    if_match: IfMatch = None
    if_none_match: IfNoneMatch = None


class PutOperation(msgspec.Struct, tag_field="op", tag="put", forbid_unknown_fields=True, gc=False):
    key: KeyText
    #: Exactly one of the two. A factory, because JSON Schema has no form for a default of bytes.
    value: AnyJson = msgspec.field(default_factory=msgspec.Raw)
    value_b64: Base64 = None
    content_type: Annotated[
        str | None, means("Without it, that of JSON, or of bytes with `value_b64`.")
    ] = None
    ttl: Annotated[
        TtlSeconds | Literal["none", "keep"] | None, means("As the parameter `ttl` of a write.")
    ] = None
    if_match: IfMatch = None
    if_none_match: IfNoneMatch = None
    idempotency_key: OnceKey = None


class DeleteOperation(
    msgspec.Struct, tag_field="op", tag="delete", forbid_unknown_fields=True, gc=False
):
    key: KeyText
    if_match: IfMatch = None
    if_none_match: IfNoneMatch = None
    idempotency_key: OnceKey = None


class AddOperation(msgspec.Struct, tag_field="op", tag="add", forbid_unknown_fields=True, gc=False):
    counter: NameText
    by: Annotated[Int64, means("What is added.")] = 1
    if_match: IfMatch = None
    if_none_match: IfNoneMatch = None
    idempotency_key: OnceKey = None


BatchOperation = GetOperation | PutOperation | DeleteOperation | AddOperation


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    operations: Annotated[
        list[BatchOperation],
        means("1 to `max_batch_operations` of /v1/limits; the default is 500.", minItems=1),
    ]


class BatchGot(msgspec.Struct, omit_defaults=True, gc=False):
    status: Status
    key: KeyText
    etag: EtagText
    ttl: TtlLeft
    content_type: Annotated[str, means("The stored content type.")]
    value: AnyJson | msgspec.UnsetType = msgspec.UNSET
    #: Rendered in base64, as msgspec renders bytes.
    value_b64: NotJsonBytes | msgspec.UnsetType = msgspec.UNSET


class BatchUnchanged(msgspec.Struct, gc=False):
    status: Status
    key: KeyText
    etag: EtagText


class BatchPut(msgspec.Struct, omit_defaults=True, gc=False):
    status: Status
    key: KeyText
    etag: EtagText
    ttl: TtlLeft
    replayed: Replayed = False


class BatchDeleted(msgspec.Struct, omit_defaults=True, gc=False):
    status: Status
    key: KeyText
    replayed: Replayed = False


class BatchAdded(msgspec.Struct, omit_defaults=True, gc=False):
    status: Status
    name: NameText
    value: Total
    value_text: Digits
    applied_by: AppliedBy
    replayed: Replayed = False


class Hits(msgspec.Struct, frozen=True):
    count: Annotated[Int64, means("The visits until now, this one included.")]
    pod: Annotated[str, means("The pod that answered.")]
    version: Annotated[str, means("Its release.")]
    track: Annotated[str, means("Its track, such as stable or canary.")]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem (RFC 9457), extended by what a client needs to decide about a retry."""

    title: Annotated[str, means("The code as text.")]
    status: Annotated[int, means("The HTTP status.")]
    detail: Annotated[str, means("The case, for people; may change.")]
    code: Annotated[str, means("Names the error; stable, made for programs.")]
    applied: Annotated[Applied, means("Whether the requested change was made.")]
    retryable: Annotated[bool, means("Whether the same request can succeed later.")]
    type: Annotated[str, means("The code as a URN.")] = "about:blank"
    trace_id: Annotated[str, means("The trace of the caller's `traceparent`, or a new one.")] = ""
    etag: Annotated[
        str | None, means("With `precondition_failed`: the current ETag, if there is one.")
    ] = None


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
