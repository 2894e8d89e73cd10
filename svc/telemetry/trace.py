"""Which trace a request belongs to, and what is learned about the request on its way."""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from random import getrandbits
from typing import Final

import msgspec

#: W3C Trace Context, §3.2, as OpenTelemetry's propagator reads it.
_TRACEPARENT: Final = re.compile(
    r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?[ \t]*"
)
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


class DrawnSpan(msgspec.Struct):
    """A span as it is noted while its request is served; tracing.py makes a real one of it later.

    Times are in nanoseconds since the epoch; ids are hex; links name traces and spans.
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
    """The trace of one request under way."""

    trace_id: str
    sampled: bool = False
    #: Whether it began elsewhere, so that other requests may have the same id.
    has_parent: bool = False
    #: What the store's operations took so far.
    store_seconds: float = 0.0
    #: What the last of them came to, and the slug of what failed.
    result: str = ""
    error: str = ""
    #: Of a sampled request: its server span's id, when it began, and what was done for it.
    span_id: str = ""
    started_ns: int = 0
    spans: list[DrawnSpan] = []


#: The trace of the request that this code runs for. Outside of any it is one without an id, which
#: whoever comes there may write into and nobody reads.
TRACE: Final[ContextVar[RequestTrace]] = ContextVar(
    "trace",
    default=RequestTrace(""),  # noqa: B039
)


def draw_id() -> int:
    """Draw a trace id's 128 bits; zero is none, and nobody will ever see the one drawn instead."""
    return getrandbits(128) or 1


def draw_span_id() -> str:
    """Draw a span's id, in hex."""
    return f"{getrandbits(64) or 1:016x}"


def read_traceparent(header: str) -> tuple[str, bool] | None:
    """Return the trace id and whether the caller sampled it; None for what is no parent."""
    found = _TRACEPARENT.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if trace_id == _NO_TRACE or span_id == _NO_SPAN or version == "ff":
        return None
    if version == "00" and more is not None:
        return None
    # Bit 0 alone says "sampled"; 02 and 03 also say that the id is random.
    return trace_id, int(flags, 16) & 1 == 1
