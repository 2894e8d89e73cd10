"""The trace of a request: its ids, and what is recorded about the request while it is served."""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from random import getrandbits
from typing import Final

import msgspec

#: W3C Trace Context §3.2, parsed as OpenTelemetry's propagator does.
_TRACEPARENT: Final = re.compile(
    r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?[ \t]*"
)
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


class SpanRecord(msgspec.Struct):
    """A span's data, recorded while its request is served; tracing.py makes the SDK's span later.

    Times are nanoseconds since the epoch. Ids are hexadecimal. Links are (trace id, span id) pairs.
    """

    name: str
    parent_id: str
    span_id: str
    started_ns: int
    ended_ns: int = 0
    is_client: bool = False
    attributes: dict[str, str | int] = {}
    error: str = ""
    links: tuple[tuple[str, str], ...] = ()

    def end(self) -> None:
        self.ended_ns = time.time_ns()


class RequestTrace(msgspec.Struct):
    """The trace of one request."""

    trace_id: str
    sampled: bool = False
    #: True if the caller sent the trace id, so that other requests may have the same one.
    has_parent: bool = False
    #: The time spent in store operations so far.
    store_seconds: float = 0.0
    #: The time that a long poll waited, which is not the service's.
    waited_seconds: float = 0.0
    #: The result of the last operation, and the slug of the request's error.
    result: str = ""
    error: str = ""
    #: The id of the caller's token; "" without one.
    caller: str = ""
    #: The bytes that the request holds of the byte budget.
    held_bytes: int = 0
    #: Only for a sampled request: the server span's id and start, and the spans of its operations.
    span_id: str = ""
    started_ns: int = 0
    spans: list[SpanRecord] = []


#: The trace of the current request. Outside of a request, a shared one without an id: code may
#: write to it, and nothing reads it.
TRACE: Final[ContextVar[RequestTrace]] = ContextVar(
    "trace",
    default=RequestTrace(""),  # noqa: B039
)


def random_trace_id() -> int:
    """Return the 128 bits of a new trace id. Zero is not a valid id."""
    return getrandbits(128) or 1


def random_span_id() -> str:
    """Return a new span id, in hexadecimal."""
    return f"{getrandbits(64) or 1:016x}"


def read_traceparent(header: str) -> tuple[str, bool] | None:
    """Return the trace id, and whether the caller sampled it; None if the header is invalid."""
    found = _TRACEPARENT.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if trace_id == _NO_TRACE or span_id == _NO_SPAN or version == "ff":
        return None
    if version == "00" and more is not None:
        return None
    # Bit 0 means "sampled". Bit 1 means that the id is random.
    return trace_id, int(flags, 16) & 1 == 1
