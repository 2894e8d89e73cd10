"""Traces, made by OpenTelemetry's SDK and its aiohttp instrumentation, sent to an OTLP collector.

Every request that reaches this module was sampled by sampling.py. The module is imported only when
tracing is on: the SDK and its exporter need more memory than the rest of the service.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web
from opentelemetry import trace as otel
from opentelemetry.instrumentation import aiohttp_server
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util.http import get_excluded_urls

from .metrics import Metrics
from .span_export import SCHEMA_URL, BoundedProcessor, CountedExporter, build_exporter
from .trace import RequestTrace, SpanRecord

#: How long close() waits for the queued spans to be exported.
FLUSH_SECONDS: Final = 5.0

#: How long an answered request may wait until its spans are made.
GATHER_SECONDS: Final = 0.05
#: For how many requests spans are made at once: normally, and when more than MANY wait.
FEW: Final = 16
MANY: Final = 64

CAPTURE_HEADERS: Final = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"
#: Headers that no span holds, whatever CAPTURE_HEADERS says.
CREDENTIALS: Final = (".authorization", ".proxy_authorization", ".cookie")

log = logging.getLogger(__name__)


class AssignedIds(RandomIdGenerator):
    """Gives the next span the ids that it was assigned when its request arrived."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class Served(NamedTuple):
    """An answered, sampled request whose spans are not made yet."""

    request: web.Request
    status: int
    trace: RequestTrace
    ended_ns: int


class OtelTracing:
    """Makes and exports the spans of sampled requests, for several requests at a time.

    The SDK and the instrumentation would need four times as much CPU time if they ran for one
    request in a hundred: each time, their code would have left the processor's caches.
    ``resource`` and ``database`` are attributes of all spans, and of the store's spans.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        resource: Mapping[str, str],
        database: Mapping[str, str | int],
        max_queue_size: int,
        max_batch_size: int,
        protocol: str,
        shows_keys: bool,
    ) -> None:
        self._metrics = metrics
        self._database = dict(database)
        self._shows_keys = shows_keys
        self._max = max_queue_size
        self._served: deque[Served] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._ids = AssignedIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            id_generator=self._ids,
            resource=_resource(resource),
            shutdown_on_exit=False,  # it could wait for 30 s; close() waits FLUSH_SECONDS
        )
        exporter = CountedExporter(build_exporter(protocol), metrics)
        self._processor = BoundedProcessor(exporter, metrics, max_queue_size, max_batch_size)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("tallykv", schema_url=SCHEMA_URL)
        self._excluded = get_excluded_urls("AIOHTTP_SERVER")
        self._captures_headers = CAPTURE_HEADERS in os.environ

    def excludes(self, path: str) -> bool:
        """Return True if OTEL_PYTHON_EXCLUDED_URLS matches the path."""
        return bool(self._excluded.url_disabled(path))

    def record(self, request: web.Request, status: int, trace: RequestTrace) -> bool:
        """Queue the answered request. Return False if the queue is full."""
        if len(self._served) >= self._max:
            self._metrics.spans_dropped["queue_full",] += 1 + len(trace.spans)
            return False
        self._served.append(Served(request, status, trace, time.time_ns()))
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self._make_some)
        return True

    def _make_some(self) -> None:
        """Make the spans of FEW requests, or of MANY if more than that wait."""
        many = len(self._served) > MANY
        self._make(MANY if many else FEW)
        self._timer = None
        if self._served:
            delay = 0.002 if many else GATHER_SECONDS / 5
            self._timer = asyncio.get_running_loop().call_later(delay, self._make_some)

    def _make(self, count: int) -> None:
        for _ in range(min(count, len(self._served))):
            served = self._served.popleft()
            try:
                self._make_spans(served)
            except Exception:
                log.exception("a request's spans could not be made")

    def _make_spans(self, served: Served) -> None:
        request, trace = served.request, served.trace
        self._ids.trace_id = int(trace.trace_id, 16)
        self._ids.span_id = int(trace.span_id, 16)
        span = self._tracer.start_span(
            aiohttp_server.get_default_span_name(request),
            context=extract(request, getter=aiohttp_server.getter),
            kind=otel.SpanKind.SERVER,
            attributes=self._attributes_of(request),
            start_time=trace.started_ns,
        )
        aiohttp_server.set_status_code(span, served.status, None, _StabilityMode.HTTP)
        if trace.caller:
            span.set_attribute("kv.token", trace.caller)
        if trace.result:
            span.set_attribute("kv.result", trace.result)
        if served.status >= 500 and trace.error:
            span.set_attribute("error.type", trace.error)
        made = {trace.span_id: span}
        for record in trace.spans:
            parent = made.get(record.parent_id, span)
            made[record.span_id] = self._make_child(record, parent, served.ended_ns)
        span.end(served.ended_ns)

    def _attributes_of(self, request: web.Request) -> dict[str, Any]:
        attributes: dict[str, Any]
        try:
            attributes = aiohttp_server.collect_request_attributes(request, _StabilityMode.HTTP)
        except ValueError:  # the Host header is invalid
            resource = request.match_info.route.resource
            attributes = {
                "http.request.method": request.method,
                "http.route": resource.canonical if resource is not None else "",
            }
        for name, value in attributes.items():
            if isinstance(value, str) and not value.isascii():
                # OTLP strings are UTF-8; a client's bytes may not be.
                attributes[name] = value.encode("utf-8", "replace").decode()
        if not attributes.get("http.route"):  # the conventions: absent, not empty
            attributes.pop("http.route", None)
        if not self._shows_keys:
            attributes["url.path"] = attributes.get("http.route", "")
            attributes.pop("url.query", None)
        if self._captures_headers:
            captured = aiohttp_server.collect_request_headers_attributes(request)
            for name, values in captured.items():
                # A client may have written its token into another header.
                if not name.endswith(CREDENTIALS) and "tkv_" not in str(values).lower():
                    attributes[name] = values
        return attributes

    def _make_child(self, record: SpanRecord, parent: otel.Span, latest_ns: int) -> otel.Span:
        self._ids.span_id = int(record.span_id, 16)
        span = self._tracer.start_span(
            record.name,
            context=otel.set_span_in_context(parent),
            kind=otel.SpanKind.CLIENT if record.is_client else otel.SpanKind.INTERNAL,
            attributes={**self._database, **record.attributes},
            links=[otel.Link(_context(*link)) for link in record.links],
            start_time=record.started_ns,
        )
        if record.error:
            span.set_attribute("error.type", record.error)
            span.set_status(otel.StatusCode.ERROR)
        span.end(record.ended_ns or latest_ns)
        return span

    async def close(self) -> None:
        """Export the queued spans, within FLUSH_SECONDS and without blocking the event loop."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        while self._served:
            self._make(FEW)
            await asyncio.sleep(0)
        exported = asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            call_in_loop(loop, exported.set)

        # A daemon thread, so that a collector that never answers can't keep the process running.
        threading.Thread(target=flush, name="flush-spans", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await exported.wait()
        except TimeoutError:
            lost = self._processor.outstanding
            self._metrics.spans_dropped["shutdown",] += lost
            log.warning("the collector did not take the last spans", extra={"spans": lost})


def call_in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Call ``call`` in the event loop, unless that is closed."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return


def _resource(attributes: Mapping[str, str]) -> Resource:
    # Resource.create() has read OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "tallykv"}))
    return resource.merge(Resource(attributes, SCHEMA_URL))


def _context(trace_id: str, span_id: str) -> otel.SpanContext:
    flags = otel.TraceFlags(otel.TraceFlags.SAMPLED)
    return otel.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
