"""Observe each request: its duration, its spans, and an access line if it is notable."""

from __future__ import annotations

import logging
import time
from typing import Final, Protocol

from aiohttp import hdrs, web

from .clients import Networks, client_address, shown_agent
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
#: Lines a second of callers' mistakes, where a person reads them.
MISTAKES_PER_SECOND: Final = 10.0

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
        log_mistakes: bool = False,
        proxies: Networks = (),
    ) -> None:
        self.metrics = metrics
        self.decide = sampler.decide
        self._recorder = recorder
        self._cells: dict[tuple[object, int], Histogram] = {}
        self._slow_seconds = slow_seconds
        self._log_all = log_all
        self._proxies = proxies
        self._lines = self._mistakes = TokenBucket(0 if log_all else NOTABLE_PER_SECOND)
        #: From this status on, a request gets a line whatever else is true of it.
        self._notable_status = 500
        if log_mistakes and not log_all:
            self._notable_status = 400
            self._mistakes = TokenBucket(MISTAKES_PER_SECOND)
        #: Tokens that observe_refused took for lines that are still to be written.
        self._lines_taken = 0

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
        response: web.StreamResponse | None = None,
    ) -> None:
        """Observe an answered request. ``started`` is a time of ``time.perf_counter``."""
        seconds = time.perf_counter() - started - trace.waited_seconds
        route = request.match_info.route
        cell = self._cells.get((route, status))
        if cell is None:
            cell = self._cell(request, status)
        if trace.sampled and self._recorder and self._recorder.record(request, status, trace):
            cell.observe_traced(seconds, trace.trace_id, trace.span_id)
        else:
            cell.observe(seconds)
        if (
            status >= self._notable_status
            or trace.sampled
            or seconds >= self._slow_seconds
            or self._log_all
        ):
            self._log(request, status, trace, seconds, request_id, response)

    def refuse(self, status: int, code: str) -> None:
        """Observe a request that was refused before its head could be read to its end."""
        if self._notable_status <= 400 and self._mistakes.take():
            fields = {"http.response.status_code": status, "error.type": code}
            log.info("refused", extra=fields)

    def observe_refused(self, method: str, template: str, started: float) -> bool:
        """Observe a request that is refused for want of a place, without a span or an access line.

        Return False, and do nothing, if it is to get a line: observe_request has all that is in it.
        """
        if self._lines.take():
            self._lines_taken += 1
            return False
        self.metrics.log_records_dropped["rate_limited",] += 1
        self.metrics.rejected["overloaded",] += 1
        self.metrics.requests[method, template, "503"].observe(time.perf_counter() - started)
        return True

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
        response: web.StreamResponse | None,
    ) -> None:
        lines = self._mistakes if 400 <= status < 500 else self._lines
        if self._lines_taken and lines is self._lines:
            self._lines_taken -= 1
        elif not lines.take():
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
            **self._client(request),
            **_body_sizes(request, response),
        }
        if trace.caller:
            fields["kv.token"] = trace.caller
        if trace.result:
            fields["kv.result"] = trace.result
        if trace.error:
            fields["error.type"] = trace.error
        level = logging.WARNING if status >= 500 else logging.INFO
        log.log(level, "request", extra=fields)

    def _client(self, request: web.Request) -> dict[str, str]:
        """Return the fields that say who sent it, as far as that is known."""
        fields: dict[str, str] = {}
        forwarded = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, ()))
        address = client_address(request.remote or "", forwarded, self._proxies)
        if address is not None:
            fields["client.address"] = str(address)
        agent = request.headers.get(hdrs.USER_AGENT)
        if agent and "tkv_" not in agent.lower():  # a client may have written its token there
            fields["user_agent.original"] = shown_agent(agent)
        return fields


def _body_sizes(request: web.Request, response: web.StreamResponse | None) -> dict[str, int]:
    """Return the bytes of both bodies, as they are transferred.

    Of the request's, those that have arrived. Without the other: it is not known at this moment.
    """
    sizes = {"http.request.body.size": request.content.total_bytes}
    if isinstance(response, web.Response) and isinstance(response.body, bytes | None):
        is_empty = request.method == hdrs.METH_HEAD or response.status in {204, 304}
        sizes["http.response.body.size"] = 0 if is_empty else len(response.body or b"")
    return sizes
