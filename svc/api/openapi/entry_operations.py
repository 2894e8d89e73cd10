"""The operations on entries. Pure."""

from __future__ import annotations

from typing import Any, Final

from ...domain import errors
from ...domain.model import PrefixDeleted
from ..bodies import (
    DeleteQuery,
    EntryPage,
    EntryWritten,
    ListEntriesQuery,
    WaitQuery,
    WatchEntriesQuery,
    WriteQuery,
)
from .groups import (
    CHANGE,
    CONDITIONAL,
    DOOR,
    FAULTS,
    KEY,
    LISTED,
    ONCE,
    READ,
    SENT,
    UNSAFE,
    WATCHED,
)
from .model import EVENTS, JSON, STREAM, Answer, Body, Link, Operation

KEY_PATH: Final = "/v1/kv/{key}"
#: Three of the types that a value may have; any other is stored too.
_ANY_BYTES: Final[dict[str, Any]] = {"description": "Any bytes."}
VALUES: Final = (
    Body(JSON, {"description": "Any JSON value."}),
    Body("text/plain", {"type": "string"}),
    Body("application/octet-stream", _ANY_BYTES),
)
_STORED: Final = (Body("*/*", _ANY_BYTES),)
_WRITTEN: Final = (Body(JSON, EntryWritten),)
_WRITE_HEADERS: Final = ("If-Match", "If-None-Match", "Idempotency-Key")
_READ_ANSWER: Final = (
    "ETag",
    "Last-Modified",
    "KV-TTL?",
    "Cache-Control",
    "Accept-Ranges",
    "X-Content-Type-Options",
    "Content-Security-Policy",
)
#: A watch has none of these.
_WATCHED_ANSWER: Final = (
    "Cache-Control",
    "X-Content-Type-Options",
    *(
        f"{name.removesuffix('?')}?"
        for name in _READ_ANSWER
        if name not in {"Cache-Control", "X-Content-Type-Options"}
    ),
)
_WRITE_ANSWER: Final = ("ETag", "Idempotency-Replayed?")
_NO_BODY: Final = Answer(
    204, "Done, and answered without a body.", (), (*_WRITE_ANSWER, "Preference-Applied")
)
_WRITE_ERRORS: Final = (*DOOR, *UNSAFE, *FAULTS, *KEY, *SENT, *CONDITIONAL, *ONCE, *CHANGE)


def _next(name: str, operation: str, says: str, **parameters: str) -> Link:
    return Link(name, operation, {"key": "$request.path.key", **parameters}, says)


_AFTER_WRITE: Final = (
    _next("read", "readEntry", "Read what was written."),
    _next(
        "swap",
        "writeEntry",
        "Write again, if nobody else did.",
        **{"header.If-Match": "$response.body#/etag"},
    ),
    _next("patch", "patchEntry", "Change members of it."),
    _next("delete", "deleteEntry", "Delete it."),
)

ENTRY_OPERATIONS: Final = (
    Operation(
        id="readEntry",
        method="GET",
        path=KEY_PATH,
        tag="entries",
        summary="Read an entry",
        says="Returns the stored bytes with the stored content type."
        " With `Accept: text/event-stream` it is a watch: first the present state, then"
        " every later one.",
        scope="read",
        parameters=("key",),
        queries=(WaitQuery,),
        headers=(
            "If-Match",
            "If-None-Match",
            "If-Modified-Since",
            "If-Unmodified-Since",
            "Range",
            "If-Range",
            "Last-Event-ID",
        ),
        answers=(
            Answer(
                200,
                "The stored bytes, or a watch.",
                (*_STORED, EVENTS),
                (*_WATCHED_ANSWER, *STREAM),
            ),
            Answer(
                206, "The part that `Range` asked for.", _STORED, (*_READ_ANSWER, "Content-Range")
            ),
            Answer(304, "Unchanged: a condition says that you have it.", (), _READ_ANSWER),
        ),
        errors=(
            *DOOR,
            *FAULTS,
            *KEY,
            *CONDITIONAL,
            *READ,
            *WATCHED,
            errors.KeyMissing,
            errors.RangeNotSatisfiable,
        ),
    ),
    Operation(
        id="writeEntry",
        method="PUT",
        path=KEY_PATH,
        tag="entries",
        summary="Create or replace an entry",
        says="Stores the body with its `Content-Type`, which may be any; "
        "`application/octet-stream` without one. A JSON type needs a valid JSON body.",
        scope="write",
        parameters=("key",),
        queries=(WriteQuery,),
        headers=(*_WRITE_HEADERS, "Prefer", "Content-Encoding"),
        bodies=VALUES,
        needs_body=False,
        answers=(
            Answer(200, "Replaced.", _WRITTEN, _WRITE_ANSWER),
            Answer(201, "Created.", _WRITTEN, (*_WRITE_ANSWER, "Preference-Applied?")),
            _NO_BODY,
        ),
        errors=(*_WRITE_ERRORS, errors.QueryInvalid, errors.ContentTypeInvalid),
        links=_AFTER_WRITE,
    ),
    Operation(
        id="patchEntry",
        method="PATCH",
        path=KEY_PATH,
        tag="entries",
        summary="Change members of a JSON entry",
        says="Merges the body into the entry (RFC 7396), keeps its TTL and the digits of its "
        "numbers. No concurrent write is lost.",
        scope="write",
        parameters=("key",),
        headers=(*_WRITE_HEADERS, "Prefer", "Content-Encoding"),
        bodies=(Body("application/merge-patch+json", {"description": "Any JSON value."}),),
        answers=(Answer(200, "Changed.", _WRITTEN, _WRITE_ANSWER), _NO_BODY),
        errors=(
            *_WRITE_ERRORS,
            errors.QueryInvalid,
            errors.KeyMissing,
            errors.MediaTypeUnsupported,
            errors.NotJson,
            errors.StoreContended,
        ),
        links=_AFTER_WRITE,
    ),
    Operation(
        id="deleteEntry",
        method="DELETE",
        path=KEY_PATH,
        tag="entries",
        summary="Delete an entry",
        says="Deletes the entry, if the conditions hold.",
        scope="delete",
        parameters=("key",),
        headers=_WRITE_HEADERS,
        answers=(Answer(204, "Deleted.", (), ("Idempotency-Replayed?",)),),
        errors=(
            *DOOR,
            *UNSAFE,
            *FAULTS,
            *KEY,
            *CONDITIONAL,
            *ONCE,
            *CHANGE,
            errors.QueryInvalid,
            errors.KeyMissing,
        ),
    ),
    Operation(
        id="createEntry",
        method="POST",
        path=KEY_PATH,
        tag="entries",
        summary="Create an entry under a new id",
        says="With a key that ends in a slash: stores the body as PUT does, under a new id (a UUID "
        "of version 7, so ids sort by time of creation).",
        scope="write",
        parameters=("collection",),
        queries=(WriteQuery,),
        headers=("Idempotency-Key", "Prefer", "Content-Encoding"),
        bodies=VALUES,
        needs_body=False,
        answers=(
            Answer(201, "Created.", _WRITTEN, (*_WRITE_ANSWER, "Location", "Preference-Applied?")),
        ),
        errors=(
            *DOOR,
            *UNSAFE,
            *FAULTS,
            *KEY,
            *SENT,
            *ONCE,
            *CHANGE,
            errors.QueryInvalid,
            errors.ContentTypeInvalid,
        ),
        links=(
            Link("read", "readEntry", {"key": "$response.body#/key"}, "Read what was created."),
            Link("delete", "deleteEntry", {"key": "$response.body#/key"}, "Delete it."),
        ),
    ),
    Operation(
        id="listEntries",
        method="GET",
        path="/v1/kv",
        tag="entries",
        summary="List entries",
        says="Returns a page of the entries whose keys begin with `prefix`, in no particular order."
        " While `next_cursor` is not null there are more pages; a page may be short or empty before"
        " the end. It walks all keys of the store, whatever the prefix: a million take seconds, and"
        " a page without any up to 0.2 s. An entry that exists all the time is not missed, and may"
        " appear twice."
        " With `include=value` each has its value, as in a batch, and a page ends before the values"
        " have more than 1 MiB together.",
        scope="read",
        queries=(ListEntriesQuery, WatchEntriesQuery),
        headers=("If-Match", "If-None-Match", "Last-Event-ID"),
        answers=(
            Answer(
                200, "A page.", (Body(JSON, EntryPage), EVENTS), ("Cache-Control", "Link?", *STREAM)
            ),
            Answer(304, "`If-None-Match: *`: there is a list."),
        ),
        errors=(*DOOR, *FAULTS, *LISTED, *WATCHED, *CONDITIONAL, *READ),
        links=(
            Link(
                "next",
                "listEntries",
                {"cursor": "$response.body#/next_cursor"},
                "Read the next page.",
            ),
            Link("read", "readEntry", {"key": "$response.body#/items/0/key"}, "Read the first."),
        ),
    ),
    Operation(
        id="deleteEntries",
        method="DELETE",
        path="/v1/kv",
        tag="entries",
        summary="Delete the entries of a prefix",
        says="Deletes up to `limit` of the entries whose keys begin with `prefix`, and which the"
        " token covers. While `next_cursor` is not null, send it again with that cursor: a call may"
        " delete fewer, or none, before the end. It may be repeated. The prefix must not be empty.",
        scope="delete",
        queries=(DeleteQuery,),
        answers=(Answer(200, "Deleted.", (Body(JSON, PrefixDeleted),)),),
        errors=(*DOOR, *UNSAFE, *FAULTS, *LISTED, *CHANGE, errors.HeaderInvalid),
    ),
)
