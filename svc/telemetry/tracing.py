"""Traces, through OpenTelemetry's SDK and its aiohttp instrumentation, to an OTLP collector.

Only requests that sampling.py chose come here, so whatever comes here is recorded. Imported only
when tracing is on: the SDK and its exporter weigh more than the rest of the service.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation import aiohttp_server
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from .metrics import Metrics
from .trace import TRACE, RequestTrace

#: How long the spans still queued at the end may take to be delivered.
FLUSH_SECONDS: Final = 5.0

#: The Redis command that carries an operation.
COMMANDS: Final = {
    "read": "MGET",
    "read_counter": "GET",
    "list_entries": "SCAN",
    "list_counters": "SCAN",
}
SCRIPT_COMMAND: Final = "EVALSHA"

log = logging.getLogger(__name__)


class RequestIds(RandomIdGenerator):
    """Gives a root span the trace id that was drawn when it was decided to sample it."""

    def generate_trace_id(self) -> int:
        request = TRACE.get()
        return int(request.trace_id, 16) if request.sampled else super().generate_trace_id()


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

    def __init__(self, exporter: CountedExporter, metrics: Metrics, max_queue_size: int) -> None:
        super().__init__(exporter, max_queue_size=max_queue_size)
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


class OtelTracing:
    """Draws spans and delivers them; ``database`` describes the store in db.* attributes."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        resource: Mapping[str, str],
        database: Mapping[str, str | int],
        max_queue_size: int,
        shows_keys: bool,
    ) -> None:
        self._metrics = metrics
        self._database = dict(database)
        self._shows_keys = shows_keys
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            id_generator=RequestIds(),
            resource=_resource(resource),
            shutdown_on_exit=False,  # it would wait half a minute; close() has a bound
        )
        exporter = CountedExporter(OTLPSpanExporter(), metrics)
        self._processor = BoundedProcessor(exporter, metrics, max_queue_size)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("tallykv")
        self._instrumented = _build_middleware(self._provider)

    async def serve(
        self, request: web.Request, handler: Handler, trace: RequestTrace
    ) -> web.StreamResponse:
        """Have the request handled within its server span."""

        async def handle(request: web.Request) -> web.StreamResponse:
            span = otel.get_current_span()
            # Not recorded where OTEL_PYTHON_EXCLUDED_URLS says so: then nothing below is either.
            if span.is_recording():
                trace.span = span
                if not self._shows_keys:
                    self._hide_keys(request, span)
            response = await handler(request)
            if trace.result and trace.span is not None:
                span.set_attribute("kv.result", trace.result)
            return response

        return await self._instrumented(request, handle)

    def _hide_keys(self, request: web.Request, span: otel.Span) -> None:
        resource = request.match_info.route.resource
        span.set_attribute("url.path", "" if resource is None else resource.canonical)
        span.set_attribute("url.query", "")

    def span_id(self, trace: RequestTrace) -> str:
        """Return the server span's id in hex."""
        return otel.format_span_id(trace.span.get_span_context().span_id)

    @contextmanager
    def store_span(self, operation: str) -> Iterator[otel.Span]:
        """Draw an operation of the store, as a child of the request's span."""
        command = COMMANDS.get(operation, SCRIPT_COMMAND)
        with self._tracer.start_as_current_span(
            command,
            kind=otel.SpanKind.CLIENT,
            attributes={
                **self._database,
                "db.operation.name": command,
                "kv.operation": operation,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    def fail(self, span: otel.Span, error_type: str) -> None:
        """Mark a span as failed."""
        span.set_attribute("error.type", error_type)
        span.set_status(otel.StatusCode.ERROR)

    def start_round_trip(
        self, lane: str, size: int, sharing: Sequence[otel.Span]
    ) -> Callable[[], None] | None:
        """Say on each of ``sharing`` how many operations its round trip carries.

        If several of them are drawn, so is the round trip: as a child of the first and linked to
        all, for a span has one parent and a round trip may serve many. Returns what ends it.
        """
        facts: dict[str, str | int] = {"db.operation.batch.size": size, "kv.lane": lane}
        for shared in sharing:
            shared.set_attributes(facts)
        if len(sharing) == 1:
            return None
        span = self._tracer.start_span(
            "redis round trip",
            context=otel.set_span_in_context(sharing[0]),
            attributes={"db.system.name": "redis", **facts},
            links=[otel.Link(shared.get_span_context()) for shared in sharing],
        )
        return span.end

    async def close(self) -> None:
        """Deliver what is queued, within FLUSH_SECONDS and without blocking the loop."""
        loop = asyncio.get_running_loop()
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


def _build_middleware(
    provider: TracerProvider,
) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """Return the instrumentation's middleware, and leave nothing else of it behind.

    It is complete only between ``instrument`` and ``uninstrument``, which also put a subclass in
    place of web.Application and take it away again.
    """
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    instrumentor = aiohttp_server.AioHttpServerInstrumentor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp's, against that subclass
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
        middleware = aiohttp_server.create_aiohttp_middleware(provider)
        instrumentor.uninstrument()
    return middleware  # type: ignore[no-any-return]
