"""Record the spans of a sampled request's store operations, while they run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from .trace import RequestTrace, SpanRecord, random_span_id

#: The Redis command of each operation that is not a script.
COMMANDS: Final = {
    "read": "MGET",
    "read_counter": "GET",
    "list_entries": "SCAN",
    "list_counters": "SCAN",
}
SCRIPT_COMMAND: Final = "EVALSHA"


def begin_operation(trace: RequestTrace, operation: str) -> SpanRecord:
    """Begin the span of an operation, as a child of the request's server span."""
    command = COMMANDS.get(operation, SCRIPT_COMMAND)
    span = SpanRecord(
        command,
        parent_id=trace.span_id,
        span_id=random_span_id(),
        started_ns=time.time_ns(),
        is_client=True,
        attributes={"db.operation.name": command, "kv.operation": operation},
    )
    trace.spans.append(span)
    return span


def begin_round_trip(
    batcher: str, size: int, sharing: Sequence[tuple[RequestTrace, SpanRecord]]
) -> SpanRecord | None:
    """Set the batch size on the span of each sampled operation that shares a round trip.

    If they are several, also begin a span of the round trip. It is a child of the first one's span
    and has links to all of them, because a span can have one parent only.
    """
    for _, span in sharing:
        span.attributes["kv.lane"] = batcher
        if size > 1:  # the conventions: no db.operation.batch.size for a single operation
            span.attributes["db.operation.batch.size"] = size
    if len(sharing) == 1:
        return None
    trace, first = sharing[0]
    trip = SpanRecord(
        "redis round trip",
        parent_id=first.span_id,
        span_id=random_span_id(),
        started_ns=time.time_ns(),
        attributes={"db.operation.batch.size": size, "kv.lane": batcher},
        links=tuple((of.trace_id, span.span_id) for of, span in sharing),
    )
    trace.spans.append(trip)
    return trip
