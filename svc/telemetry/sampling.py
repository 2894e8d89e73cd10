"""Head sampling, decided before any code of OpenTelemetry's SDK runs.

The SDK calls its samplers late: by then tracing has cost as much as the handling of the request.
The decisions here are those of ``parentbased_traceidratio`` and the other samplers of
OpenTelemetry's trace SDK specification. Only sampled requests reach the SDK.
"""

from __future__ import annotations

import time
from typing import Final

from .instruments import Counter
from .token_bucket import TokenBucket
from .trace import RequestTrace, random_span_id, random_trace_id, read_traceparent

#: The low 64 bits of a trace id are compared with the ratio.
_LOW_BITS: Final = (1 << 64) - 1


class Sampler:
    """Samples a ratio (0 to 1) of requests, at most ``per_second`` of them; 0 means no limit."""

    def __init__(
        self, ratio: float, *, parent_based: bool, per_second: float, decisions: Counter
    ) -> None:
        self._bound = round(ratio * (1 << 64))
        self._parent_based = parent_based
        self._bucket = TokenBucket(per_second)
        self._decisions = decisions

    def decide(self, traceparent: str | None) -> RequestTrace:
        """Return the trace of a request with this ``traceparent`` header, sampled or not."""
        parent = None if traceparent is None else read_traceparent(traceparent)
        if parent is None:
            number = random_trace_id()
            trace_id, origin = f"{number:032x}", "root"
            sampled = (number & _LOW_BITS) < self._bound
        else:
            trace_id, sampled = parent
            origin = "parent"
            if not self._parent_based:
                sampled = int(trace_id[16:], 16) < self._bound
        if not sampled:
            decision = "dropped"
        elif not self._bucket.take():
            decision = "capped"
        else:
            decision = "sampled"
        self._decisions[origin, decision] += 1
        if decision != "sampled":
            return RequestTrace(trace_id, has_parent=parent is not None)
        return RequestTrace(
            trace_id,
            sampled=True,
            has_parent=parent is not None,
            span_id=random_span_id(),
            started_ns=time.time_ns(),
        )


class NoSampler:
    """Samples nothing. Each request still gets a trace id: its caller's, or a new one."""

    def decide(self, traceparent: str | None) -> RequestTrace:
        parent = None if traceparent is None else read_traceparent(traceparent)
        if parent is None:
            return RequestTrace(f"{random_trace_id():032x}")
        return RequestTrace(parent[0], has_parent=True)
