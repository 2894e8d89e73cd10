"""The way of spans to the collector: counted, bounded, by OTLP over HTTP or gRPC."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from .metrics import Metrics
from .settings import GRPC, HTTP_PROTOBUF

#: The version of the semantic conventions that the attributes follow, for collectors: the first one
#: in which all of them, those of databases included, have these names.
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.33.0"

log = logging.getLogger(__name__)


def build_exporter(protocol: str) -> SpanExporter:
    """Return an exporter for the protocol, or for HTTP with a warning.

    The variable may come from an environment that all programs of a namespace share. A program that
    speaks another dialect must not fail to start because of it.
    """
    reason = "the service does not support it"
    if protocol == GRPC:
        try:
            from opentelemetry.exporter.otlp.proto.grpc import (  # noqa: PLC0415 - an extra
                trace_exporter as grpc_exporter,
            )
        except ImportError:
            reason = "it needs the extra tallykv[grpc]"
        else:
            return grpc_exporter.OTLPSpanExporter()
    if protocol != HTTP_PROTOBUF:
        log.warning(
            "spans are sent over http/protobuf instead of the protocol that is asked for",
            extra={"protocol": protocol, "reason": reason},
        )
    return OTLPSpanExporter()


class CountedExporter(SpanExporter):
    """Counts spans as exported or dropped. It runs in the processor's thread."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._exporter = exporter
        self._metrics = metrics
        #: Spans exported or dropped so far.
        self.finished = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.finished += len(spans)
            if result is SpanExportResult.SUCCESS:
                self._metrics.spans_exported[()] += len(spans)
            else:
                self._metrics.spans_dropped["export_failed",] += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class BoundedProcessor(BatchSpanProcessor):
    """Drops and counts new spans when its queue is full. The SDK's own drops old ones silently."""

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
        """Spans that are queued or being exported."""
        return self.ended - self._counted.finished

    def on_end(self, span: ReadableSpan) -> None:
        if self.outstanding >= self._max:
            self._metrics.spans_dropped["queue_full",] += 1
            return
        self.ended += 1
        super().on_end(span)
