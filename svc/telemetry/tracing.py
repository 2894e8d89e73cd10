"""Traces, through OpenTelemetry's SDK and its aiohttp instrumentation, to an OTLP collector.

Only requests that sampling.py chose come here, so whatever comes here is recorded. Imported only
when tracing is on: the SDK and its exporter weigh more than the rest of the service.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiohttp import web
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation import aiohttp_server
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util.http import get_excluded_urls

from .metrics import Metrics
from .trace import DrawnSpan, RequestTrace

#: How long the spans still queued at the end may take to be delivered.
FLUSH_SECONDS: Final = 5.0

#: How long a request's spans may wait to be made, and for how many requests that is done at once.
GATHER_SECONDS: Final = 0.05
HANDFUL: Final = 16
MANY: Final = 64

CAPTURE_HEADERS: Final = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"

log = logging.getLogger(__name__)


class GivenIds(RandomIdGenerator):
    """Gives the next span the ids that were drawn for it when its request came."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class CountedExporter(SpanExporter):
    """Counts what becomes of the spans; runs in the processor's thread."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics
        #: Spans delivered or given up so far.
        self.settled = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.settled += len(spans)
            if result is SpanExportResult.SUCCESS:
                self._metrics.spans_exported[()] += len(spans)
            else:
                self._metrics.spans_dropped["export_failed",] += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class BoundedProcessor(BatchSpanProcessor):
    """Counts what it has no room for, where the SDK's own would push out older spans unseen."""

    def __init__(
        self, exporter: CountedExporter, metrics: Metrics, max_queue_size: int, max_batch_size: int
    ) -> None:
        super().__init__(
            exporter, max_queue_size=max_queue_size, max_export_batch_size=max_batch_size
        )
        self._counted = exporter
        self._metrics = metrics
        self._max = max_queue_size
        self.ended = 0

    @property
    def outstanding(self) -> int:
        """Spans queued or on their way."""
        return self.ended - self._counted.settled

    def on_end(self, span: ReadableSpan) -> None:
        if self.outstanding >= self._max:
            self._metrics.spans_dropped["queue_full",] += 1
            return
        self.ended += 1
        super().on_end(span)


class Served(NamedTuple):
    """A sampled request that was answered; its spans are still to be made."""

    request: web.Request
    status: int
    trace: RequestTrace
    ended_ns: int


class OtelTracing:
    """Makes spans of what was noted of sampled requests, a handful at a time, and delivers them.

    Done while one request in a hundred is served, the SDK's and the instrumentation's work would
    cost four times as much, for by then the processor has forgotten all of its code.
    ``database`` describes the store in db.* attributes.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        resource: Mapping[str, str],
        database: Mapping[str, str | int],
        max_queue_size: int,
        max_batch_size: int,
        shows_keys: bool,
    ) -> None:
        self._metrics = metrics
        self._database = dict(database)
        self._shows_keys = shows_keys
        self._max = max_queue_size
        self._served: deque[Served] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._ids = GivenIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            id_generator=self._ids,
            resource=_resource(resource),
            shutdown_on_exit=False,  # it would wait half a minute; close() has a bound
        )
        exporter = CountedExporter(OTLPSpanExporter(), metrics)
        self._processor = BoundedProcessor(exporter, metrics, max_queue_size, max_batch_size)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("tallykv")
        self._excluded = get_excluded_urls("AIOHTTP_SERVER")
        self._captures_headers = CAPTURE_HEADERS in os.environ

    def excludes(self, path: str) -> bool:
        """Tell whether OTEL_PYTHON_EXCLUDED_URLS names the path."""
        return bool(self._excluded.url_disabled(path))

    def record(self, request: web.Request, status: int, trace: RequestTrace) -> bool:
        """Take the request, unless too many wait already."""
        if len(self._served) >= self._max:
            self._metrics.spans_dropped["queue_full",] += 1 + len(trace.spans)
            return False
        self._served.append(Served(request, status, trace, time.time_ns()))
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self._make_some)
        return True

    def _make_some(self) -> None:
        """Make the spans of a handful of requests; more of them when many wait."""
        many = len(self._served) > MANY
        self._make(MANY if many else HANDFUL)
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
        if trace.result:
            span.set_attribute("kv.result", trace.result)
        if served.status >= 500 and trace.error:
            span.set_attribute("error.type", trace.error)
        made = {trace.span_id: span}
        for drawn in trace.spans:
            parent = made.get(drawn.parent_id, span)
            made[drawn.span_id] = self._make_child(drawn, parent, served.ended_ns)
        span.end(served.ended_ns)

    def _attributes_of(self, request: web.Request) -> dict[str, Any]:
        attributes: dict[str, Any]
        try:
            attributes = aiohttp_server.collect_request_attributes(request, _StabilityMode.HTTP)
        except ValueError:  # a Host header that is no host
            resource = request.match_info.route.resource
            attributes = {
                "http.request.method": request.method,
                "http.route": resource.canonical if resource is not None else "",
            }
        for name, value in attributes.items():
            if isinstance(value, str) and not value.isascii():
                # OTLP is UTF-8; what a client sends need not be.
                attributes[name] = value.encode("utf-8", "replace").decode()
        if not attributes.get("http.route"):  # the conventions want it absent then, not empty
            attributes.pop("http.route", None)
        if not self._shows_keys:
            attributes["url.path"] = attributes.get("http.route", "")
            attributes.pop("url.query", None)
        if self._captures_headers:
            attributes.update(aiohttp_server.collect_request_headers_attributes(request))
        return attributes

    def _make_child(self, drawn: DrawnSpan, parent: otel.Span, latest_ns: int) -> otel.Span:
        self._ids.span_id = int(drawn.span_id, 16)
        span = self._tracer.start_span(
            drawn.name,
            context=otel.set_span_in_context(parent),
            kind=otel.SpanKind.CLIENT if drawn.is_client else otel.SpanKind.INTERNAL,
            attributes={**self._database, **drawn.attributes},
            links=[otel.Link(_context(*link)) for link in drawn.links],
            start_time=drawn.started_ns,
        )
        if drawn.error:
            span.set_attribute("error.type", drawn.error)
            span.set_status(otel.StatusCode.ERROR)
        span.end(drawn.ended_ns or latest_ns)
        return span

    async def close(self) -> None:
        """Deliver what is queued, within FLUSH_SECONDS and without blocking the loop."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        while self._served:
            self._make(HANDFUL)
            await asyncio.sleep(0)
        delivered = asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            with_loop_open(loop, delivered.set)

        # A daemon, so that a collector that never answers can't keep the process.
        threading.Thread(target=flush, name="flush-spans", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await delivered.wait()
        except TimeoutError:
            lost = self._processor.outstanding
            self._metrics.spans_dropped["shutdown",] += lost
            log.warning("the collector did not take the last spans", extra={"spans": lost})


def with_loop_open(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Call it in the loop, if that still runs."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return


def _resource(attributes: Mapping[str, str]) -> Resource:
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are in it already.
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "tallykv"}))
    return resource.merge(Resource(attributes))


def _context(trace_id: str, span_id: str) -> otel.SpanContext:
    flags = otel.TraceFlags(otel.TraceFlags.SAMPLED)
    return otel.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
