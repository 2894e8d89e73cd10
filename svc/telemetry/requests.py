"""What is told of each request: its trace, its time, and a line in the log when it is worth one."""

from __future__ import annotations

import logging
import time
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from .instruments import Histogram
from .metrics import Metrics
from .rate import TokenBucket
from .sampling import NoSampler, Sampler
from .trace import RequestTrace

#: The methods a route may have; whatever else a client makes up is one label.
METHODS: Final = frozenset(
    ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)
OTHER_METHOD: Final = "_OTHER"
UNMATCHED: Final = "unmatched"
#: Access lines a second, unless all are asked for: an outage must not drown its own cause.
NOTABLE_PER_SECOND: Final = 100.0

log = logging.getLogger("svc.access")


class Spans(Protocol):
    """Records a sampled request as a span; see tracing.py."""

    async def serve(
        self, request: web.Request, handler: Handler, trace: RequestTrace
    ) -> web.StreamResponse:
        """Have the request handled within its server span."""

    def span_id(self, trace: RequestTrace) -> str:
        """Return the server span's id in hex."""


class RequestTelemetry:
    """Observes every request of the traffic port."""

    def __init__(
        self,
        metrics: Metrics,
        sampler: Sampler | NoSampler,
        spans: Spans | None,
        *,
        slow_seconds: float,
        log_all: bool,
    ) -> None:
        self.metrics = metrics
        self.decide = sampler.decide
        self._spans = spans
        self._cells: dict[tuple[object, int], Histogram] = {}
        self._slow_seconds = slow_seconds
        self._log_all = log_all
        self._lines = TokenBucket(0 if log_all else NOTABLE_PER_SECOND)

    async def serve_sampled(
        self, request: web.Request, handler: Handler, trace: RequestTrace
    ) -> web.StreamResponse:
        if self._spans is None:
            return await handler(request)
        return await self._spans.serve(request, handler, trace)

    def observe(
        self,
        request: web.Request,
        status: int,
        trace: RequestTrace,
        started: float,
        request_id: str,
    ) -> None:
        """Observe a request that is answered; ``started`` is perf_counter's time."""
        seconds = time.perf_counter() - started
        route = request.match_info.route
        cell = self._cells.get((route, status))
        if cell is None:
            cell = self._cell(request, status)
        if trace.span is None:
            cell.observe(seconds)
        else:
            cell.observe_traced(seconds, trace.trace_id, self._spans.span_id(trace))  # type: ignore[union-attr]
        if status >= 500 or trace.sampled or seconds >= self._slow_seconds or self._log_all:
            self._log(request, status, trace, seconds, request_id)

    def _cell(self, request: web.Request, status: int) -> Histogram:
        route = request.match_info.route
        resource = route.resource
        method = request.method if request.method in METHODS else OTHER_METHOD
        template = UNMATCHED if resource is None else resource.canonical
        cell = self.metrics.requests[method, template, str(status)]
        if resource is not None:  # what stands for "no such route" is made anew for each request
            self._cells[route, status] = cell
        return cell

    def _log(
        self,
        request: web.Request,
        status: int,
        trace: RequestTrace,
        seconds: float,
        request_id: str,
    ) -> None:
        if not self._lines.take():
            self.metrics.log_records_dropped["rate_limited",] += 1
            return
        resource = request.match_info.route.resource
        facts = {
            "request_id": request_id,
            "http.request.method": request.method if request.method in METHODS else OTHER_METHOD,
            "http.route": UNMATCHED if resource is None else resource.canonical,
            "http.response.status_code": status,
            "duration_ms": round(seconds * 1000, 3),
            "redis_ms": round(trace.store_seconds * 1000, 3),
        }
        if trace.result:
            facts["kv.result"] = trace.result
        if trace.error:
            facts["error.type"] = trace.error
        level = logging.WARNING if status >= 500 else logging.INFO
        log.log(level, "request", extra=facts)
