"""The operations on counters. Pure."""

from __future__ import annotations

from typing import Final

from ...domain import errors
from ...domain.model import PrefixDeleted
from ..bodies import (
    CounterBody,
    CounterPage,
    CounterRead,
    CounterSet,
    CounterStepped,
    DeleteQuery,
    IncrementBody,
    ListQuery,
    WaitQuery,
    WatchQuery,
)
from .groups import (
    CHANGE,
    CONDITIONAL,
    DOOR,
    FAULTS,
    LISTED,
    NAME,
    ONCE,
    READ,
    SENT,
    UNSAFE,
    WATCHED,
)
from .model import EVENTS, JSON, STREAM, Answer, Body, Link, Operation

NAME_PATH: Final = "/v1/counters/{name}"
_WRITE_HEADERS: Final = ("If-Match", "If-None-Match", "Idempotency-Key")
_CHANGE_ERRORS: Final = (
    *DOOR,
    *UNSAFE,
    *FAULTS,
    *NAME,
    *CONDITIONAL,
    *ONCE,
    *CHANGE,
    errors.QueryInvalid,
)


def _next(name: str, operation: str, says: str) -> Link:
    return Link(name, operation, {"name": "$request.path.name"}, says)


_AFTER: Final = (
    _next("read", "readCounter", "Read it."),
    _next("add", "incrementCounter", "Add to it."),
    _next("delete", "deleteCounter", "Delete it."),
)

COUNTER_OPERATIONS: Final = (
    Operation(
        id="readCounter",
        method="GET",
        path=NAME_PATH,
        tag="counters",
        summary="Read a counter",
        says="Returns the value: a signed 64-bit integer, as a number and as text.",
        scope="read",
        parameters=("name",),
        queries=(WaitQuery,),
        headers=("If-Match", "If-None-Match", "Last-Event-ID"),
        answers=(
            Answer(
                200,
                "The value.",
                (Body(JSON, CounterRead), EVENTS),
                ("ETag?", "Cache-Control", *STREAM),
            ),
            Answer(304, "Unchanged: you have it.", (), ("ETag", "Cache-Control")),
        ),
        errors=(*DOOR, *FAULTS, *NAME, *CONDITIONAL, *READ, *WATCHED, errors.CounterMissing),
    ),
    Operation(
        id="setCounter",
        method="PUT",
        path=NAME_PATH,
        tag="counters",
        summary="Set a counter",
        says="Sets the value, and returns the one before.",
        scope="write",
        parameters=("name",),
        headers=(*_WRITE_HEADERS, "Content-Encoding"),
        bodies=(Body(JSON, CounterBody),),
        answers=(
            Answer(200, "Set.", (Body(JSON, CounterSet),), ("ETag", "Idempotency-Replayed?")),
        ),
        errors=(*_CHANGE_ERRORS, *SENT),
        links=_AFTER,
    ),
    Operation(
        id="deleteCounter",
        method="DELETE",
        path=NAME_PATH,
        tag="counters",
        summary="Delete a counter",
        says="Deletes the counter, if the conditions hold.",
        scope="delete",
        parameters=("name",),
        headers=_WRITE_HEADERS,
        answers=(Answer(204, "Deleted.", (), ("Idempotency-Replayed?",)),),
        errors=(*_CHANGE_ERRORS, errors.CounterMissing),
    ),
    Operation(
        id="incrementCounter",
        method="POST",
        path=f"{NAME_PATH}/increments",
        tag="counters",
        summary="Add to a counter",
        says="Adds atomically, within bounds if you ask for them. A new counter starts at 0."
        " Integers are written as such: `1.0` is refused.",
        scope="write",
        parameters=("name",),
        headers=(*_WRITE_HEADERS, "Content-Encoding"),
        bodies=(Body(JSON, IncrementBody),),
        needs_body=False,
        answers=(Answer(200, "Added.", (Body(JSON, CounterStepped),), ("Idempotency-Replayed?",)),),
        errors=(*_CHANGE_ERRORS, *SENT, errors.CounterOverflow, errors.CounterBound),
        links=_AFTER,
    ),
    Operation(
        id="listCounters",
        method="GET",
        path="/v1/counters",
        tag="counters",
        summary="List counters",
        says="Returns a page of the counters whose names begin with `prefix`, with their values,"
        " as entries are listed.",
        scope="read",
        queries=(ListQuery, WatchQuery),
        headers=("If-Match", "If-None-Match", "Last-Event-ID"),
        answers=(
            Answer(
                200,
                "A page.",
                (Body(JSON, CounterPage), EVENTS),
                ("Cache-Control", "Link?", *STREAM),
            ),
            Answer(304, "`If-None-Match: *`: there is a list."),
        ),
        errors=(*DOOR, *FAULTS, *LISTED, *WATCHED, *CONDITIONAL, *READ),
        links=(
            Link(
                "next",
                "listCounters",
                {"cursor": "$response.body#/next_cursor"},
                "Read the next page.",
            ),
            Link("read", "readCounter", {"name": "$response.body#/items/0/name"}, "Read one."),
        ),
    ),
    Operation(
        id="deleteCounters",
        method="DELETE",
        path="/v1/counters",
        tag="counters",
        summary="Delete the counters of a prefix",
        says="Deletes counters as entries of a prefix are deleted.",
        scope="delete",
        queries=(DeleteQuery,),
        answers=(Answer(200, "Deleted.", (Body(JSON, PrefixDeleted),)),),
        errors=(*DOOR, *UNSAFE, *FAULTS, *LISTED, *CHANGE, errors.HeaderInvalid),
    ),
)
