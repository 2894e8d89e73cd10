"""Head sampling, decided before OpenTelemetry's SDK is entered.

The SDK's own samplers are asked late: by then a request has cost as much as all of its handling.
The decision here is exactly theirs (``parentbased_traceidratio`` and its siblings, as the
specification of OpenTelemetry's trace SDK defines them), so only what will be recorded goes there.
"""

from __future__ import annotations

import time
from typing import Final

from .instruments import Counter
from .rate import TokenBucket
from .trace import RequestTrace, draw_id, draw_span_id, read_traceparent

#: The low 64 bits of a trace id are what the ratio is compared with.
_LOW_BITS: Final = (1 << 64) - 1


class Sampler:
    """Decides for one process; ``ratio`` is from 0 to 1, 0 decisions per second are no cap."""

    def __init__(
        self, ratio: float, *, parent_based: bool, per_second: float, decisions: Counter
    ) -> None:
        self._bound = round(ratio * (1 << 64))
        self._parent_based = parent_based
        self._bucket = TokenBucket(per_second)
        self._decisions = decisions

    def decide(self, traceparent: str | None) -> RequestTrace:
        """Return the trace that a request with this header belongs to, sampled or not."""
        parent = None if traceparent is None else read_traceparent(traceparent)
        if parent is None:
            number = draw_id()
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
            span_id=draw_span_id(),
            started_ns=time.time_ns(),
        )


class NoSampler:
    """Decides when nothing is traced: a request still has an id, its caller's or its own."""

    def decide(self, traceparent: str | None) -> RequestTrace:
        parent = None if traceparent is None else read_traceparent(traceparent)
        if parent is None:
            return RequestTrace(f"{draw_id():032x}")
        return RequestTrace(parent[0], has_parent=True)
