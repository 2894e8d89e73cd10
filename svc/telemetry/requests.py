"""Observe each request: its duration, its spans, and an access line if it is notable."""

from __future__ import annotations

import logging
import time
from typing import Final, Protocol

from aiohttp import web

from .instruments import Histogram
from .metrics import Metrics
from .sampling import NoSampler, Sampler
from .token_bucket import TokenBucket
from .trace import RequestTrace

#: Methods with a label value of their own; any other is OTHER_METHOD.
METHODS: Final = frozenset(
    ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)
OTHER_METHOD: Final = "_OTHER"
UNMATCHED: Final = "unmatched"
#: Access lines a second, unless KV_ACCESS_LOG=all: an outage must not flood the log.
NOTABLE_PER_SECOND: Final = 100.0

#: "svc.access" in a checkout, "tallykv.access" when installed.
log = logging.getLogger(f"{__name__.partition('.')[0]}.access")


def template_of(resource: web.AbstractResource | None) -> str:
    """Return the route's name in metrics and log lines, without a trailing slash."""
    return UNMATCHED if resource is None else resource.canonical.rstrip("/") or "/"


class Recorder(Protocol):
    """Makes the spans of sampled requests; tracing.py has the implementation."""

    def excludes(self, path: str) -> bool:
        """Return True if requests of this path must not be traced."""

    def record(self, request: web.Request, status: int, trace: RequestTrace) -> bool:
        """Queue the answered request. Return False if it is dropped because the queue is full."""


class RequestTelemetry:
    """Observes every request of the traffic port."""

    def __init__(
        self,
        metrics: Metrics,
        sampler: Sampler | NoSampler,
        recorder: Recorder | None,
        *,
        slow_seconds: float,
        log_all: bool,
    ) -> None:
        self.metrics = metrics
        self.decide = sampler.decide
        self._recorder = recorder
        self._cells: dict[tuple[object, int], Histogram] = {}
        self._slow_seconds = slow_seconds
        self._log_all = log_all
        self._lines = TokenBucket(0 if log_all else NOTABLE_PER_SECOND)

    def exclude(self, request: web.Request, trace: RequestTrace) -> None:
        """Undo the sampling decision if the operator excludes the request's path."""
        if self._recorder is None or self._recorder.excludes(request.path):
            trace.sampled = False

    def observe(
        self,
        request: web.Request,
        status: int,
        trace: RequestTrace,
        started: float,
        request_id: str,
    ) -> None:
        """Observe an answered request. ``started`` is a time of ``time.perf_counter``."""
        seconds = time.perf_counter() - started
        route = request.match_info.route
        cell = self._cells.get((route, status))
        if cell is None:
            cell = self._cell(request, status)
        if trace.sampled and self._recorder and self._recorder.record(request, status, trace):
            cell.observe_traced(seconds, trace.trace_id, trace.span_id)
        else:
            cell.observe(seconds)
        if status >= 500 or trace.sampled or seconds >= self._slow_seconds or self._log_all:
            self._log(request, status, trace, seconds, request_id)

    def _cell(self, request: web.Request, status: int) -> Histogram:
        route = request.match_info.route
        resource = route.resource
        method = request.method if request.method in METHODS else OTHER_METHOD
        template = template_of(resource)
        cell = self.metrics.requests[method, template, str(status)]
        if resource is not None:  # for an unknown route, aiohttp makes a new object each time
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
        fields = {
            "request_id": request_id,
            "http.request.method": request.method if request.method in METHODS else OTHER_METHOD,
            "http.route": template_of(resource),
            "http.response.status_code": status,
            "duration_ms": round(seconds * 1000, 3),
            "redis_ms": round(trace.store_seconds * 1000, 3),
        }
        if trace.result:
            fields["kv.result"] = trace.result
        if trace.error:
            fields["error.type"] = trace.error
        level = logging.WARNING if status >= 500 else logging.INFO
        log.log(level, "request", extra=fields)
