"""The operations on neither entries nor counters alone: batch, limits, plain API. Pure."""

from __future__ import annotations

from typing import Any, Final

from ...domain import errors
from ..bodies import (
    BatchAdded,
    BatchBody,
    BatchDeleted,
    BatchGot,
    BatchPut,
    BatchUnchanged,
    Hits,
    Problem,
)
from ..limits import Limits
from ..status import ServiceStatus
from .groups import ANYBODY, CHANGE, CONDITIONAL, DOOR, FAULTS, KEY, ONCE, READ, SENT, UNSAFE
from .model import JSON, Answer, Body, Operation
from .schemas import refer

#: Each result of a batch is one of these.
BATCH_RESULTS: Final = (BatchGot, BatchPut, BatchDeleted, BatchAdded, BatchUnchanged, Problem)

_RESULTS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "description": "A result for each operation, in their order.",
            "items": {"anyOf": [refer(kind) for kind in BATCH_RESULTS]},
        }
    },
}
_OBJECT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Any JSON object. Its own `last_updated` and `ttl` are left out.",
}
_SHOWN: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["last_updated", "ttl"],
    "properties": {
        "last_updated": {"type": "integer", "description": "When it was written, in Unix seconds."},
        "ttl": {
            "type": ["integer", "null"],
            "description": "Seconds left; null: it never expires.",
        },
    },
}
_DOCUMENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "An OpenAPI 3.1 document.",
    "required": ["openapi", "info", "paths"],
}
_PLAIN_HEADERS: Final = ("Cache-Control", "ETag", "X-Content-Type-Options")

OTHER_OPERATIONS: Final = (
    Operation(
        id="runBatch",
        method="POST",
        path="/v1/batch",
        tag="batch",
        summary="Run many operations",
        says="Each result is what the single request would have said. A batch is not atomic."
        " Operations on one key or counter keep their order; others may run in any order."
        " The header `Idempotency-Key` applies to each change of the batch.",
        scope="",
        headers=("Idempotency-Key", "Content-Encoding"),
        bodies=(Body(JSON, BatchBody),),
        answers=(
            Answer(
                200,
                "The results.",
                (Body(JSON, _RESULTS),),
                ("Cache-Control", "Idempotency-Replayed?"),
            ),
        ),
        errors=(*DOOR, *UNSAFE, *FAULTS, *SENT, *ONCE, *CHANGE, errors.QueryInvalid),
    ),
    Operation(
        id="readLimits",
        method="GET",
        path="/v1/limits",
        tag="service",
        summary="Read the limits in force",
        says="Units are in the names. A limit holds for each process.",
        scope="",
        headers=("If-Match", "If-None-Match"),
        answers=(
            Answer(200, "The limits.", (Body(JSON, Limits),)),
            Answer(304, "`If-None-Match: *`: there are limits."),
        ),
        errors=(*DOOR, *FAULTS, *CONDITIONAL, errors.QueryInvalid),
    ),
    Operation(
        id="readStatus",
        method="GET",
        path="/v1/status",
        tag="service",
        summary="Read who answers, and what you may do",
        says="The release and the pod, the state of the store, and what the caller's token covers."
        " The store's failures are for the scope `admin`.",
        scope="",
        headers=("If-Match", "If-None-Match"),
        answers=(
            Answer(200, "The status.", (Body(JSON, ServiceStatus),), ("Cache-Control",)),
            Answer(304, "`If-None-Match: *`: there is a status."),
        ),
        errors=(*DOOR, *FAULTS, *CONDITIONAL, errors.QueryInvalid),
    ),
    Operation(
        id="readContract",
        method="GET",
        path="/v1/openapi.json",
        tag="service",
        summary="Read this document",
        says="The contract of the release that answers. It needs no token.",
        scope=None,
        headers=("If-Match", "If-None-Match"),
        answers=(
            Answer(
                200,
                "This document.",
                (Body(JSON, _DOCUMENT),),
                ("Cache-Control", "ETag", "Vary", "X-Content-Type-Options"),
            ),
            Answer(
                304,
                "Unchanged: you have it.",
                (),
                ("Cache-Control", "ETag", "Vary", "X-Content-Type-Options"),
            ),
        ),
        errors=(*ANYBODY, *FAULTS, *CONDITIONAL, errors.QueryInvalid),
    ),
    Operation(
        id="countVisit",
        method="GET",
        path="/",
        tag="plain",
        summary="Count a visit",
        says="Adds 1 to the counter `hits`, and returns it: as text, or as JSON if `Accept` names"
        " `application/json`. HEAD does not count. The query is ignored.",
        scope="write",
        headers=("If-Match", "If-None-Match", "Idempotency-Key"),
        answers=(
            Answer(
                200,
                "The number of visits.",
                (Body("text/plain", {"type": "string"}), Body(JSON, Hits)),
                ("Cache-Control", "Vary", "Idempotency-Replayed?"),
            ),
            Answer(304, "`If-None-Match: *`: there is a counter."),
        ),
        errors=(*DOOR, *CONDITIONAL, *ONCE, *CHANGE, errors.CounterOverflow),
    ),
    Operation(
        id="readObject",
        method="GET",
        path="/{path}",
        tag="plain",
        summary="Read an object",
        says="The entry of this key, if it is a JSON object, with two more members. The query is"
        " ignored.",
        scope="read",
        parameters=("path",),
        headers=("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"),
        answers=(
            Answer(200, "The object.", (Body(JSON, _SHOWN),), _PLAIN_HEADERS),
            Answer(304, "Unchanged: you have it.", (), ("Cache-Control", "ETag")),
        ),
        errors=(*DOOR, *KEY, *CONDITIONAL, *READ, errors.KeyMissing, errors.NotJson),
    ),
    Operation(
        id="writeObject",
        method="PUT",
        path="/{path}",
        tag="plain",
        summary="Create or replace an object",
        says="Stores a JSON object as the entry of this key, with the default TTL.",
        scope="write",
        parameters=("path",),
        headers=("If-Match", "If-None-Match", "Idempotency-Key", "Content-Encoding"),
        bodies=(Body(JSON, _OBJECT),),
        answers=(
            Answer(
                201,
                "The object as it is stored, with two more members.",
                (Body(JSON, _SHOWN),),
                (*_PLAIN_HEADERS, "Idempotency-Replayed?"),
            ),
        ),
        errors=(
            *DOOR,
            *UNSAFE,
            *KEY,
            *SENT,
            *CONDITIONAL,
            *ONCE,
            *CHANGE,
            errors.QueryInvalid,
        ),
    ),
)
