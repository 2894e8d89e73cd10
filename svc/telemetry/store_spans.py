"""Spans of what a sampled request asks of the store, noted as they happen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from .trace import DrawnSpan, RequestTrace, draw_span_id

#: The Redis command that carries an operation; all others are scripts.
COMMANDS: Final = {
    "read": "MGET",
    "read_counter": "GET",
    "list_entries": "SCAN",
    "list_counters": "SCAN",
}
SCRIPT_COMMAND: Final = "EVALSHA"


def begin_operation(trace: RequestTrace, operation: str) -> DrawnSpan:
    """Begin the span of an operation, a child of the request's."""
    command = COMMANDS.get(operation, SCRIPT_COMMAND)
    span = DrawnSpan(
        command,
        parent_id=trace.span_id,
        span_id=draw_span_id(),
        started_ns=time.time_ns(),
        is_client=True,
        attributes={"db.operation.name": command, "kv.operation": operation},
    )
    trace.spans.append(span)
    return span


def begin_round_trip(
    lane: str, size: int, sharing: Sequence[tuple[RequestTrace, DrawnSpan]]
) -> DrawnSpan | None:
    """Say on the span of each operation how many travel together.

    If several of them are drawn, so is the round trip: as a child of the first and linked to all,
    for a span has one parent and a round trip may serve many.
    """
    for _, span in sharing:
        span.attributes["kv.lane"] = lane
        if size > 1:  # the conventions' word for one is none
            span.attributes["db.operation.batch.size"] = size
    if len(sharing) == 1:
        return None
    trace, first = sharing[0]
    trip = DrawnSpan(
        "redis round trip",
        parent_id=first.span_id,
        span_id=draw_span_id(),
        started_ns=time.time_ns(),
        attributes={"db.operation.batch.size": size, "kv.lane": lane},
        links=tuple((of.trace_id, span.span_id) for of, span in sharing),
    )
    trace.spans.append(trip)
    return trip
