"""What is kept of a span, and the file that it is kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_SERVER: Final = Span.SpanKind.SPAN_KIND_SERVER


class SeenSpan(NamedTuple):
    """A span that arrived; ids are lowercase hex, ``parent_id`` is empty in a root."""

    trace_id: str
    span_id: str
    parent_id: str
    is_server: bool
    #: Its ``url.path``; only server spans have one.
    path: str


def decode(body: bytes) -> list[SeenSpan]:
    """Return the spans of a serialised ExportTraceServiceRequest; raises DecodeError."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        SeenSpan(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind == _SERVER,
            _path(span),
        )
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def _path(span: Span) -> str:
    for attribute in span.attributes:
        if attribute.key == "url.path":
            return str(attribute.value.string_value)
    return ""


def render_lines(spans: Iterable[SeenSpan]) -> str:
    return "".join(json.dumps(span) + "\n" for span in spans)


def read_spans(file: Path) -> list[SeenSpan]:
    """Read what a collector wrote down; it writes before it answers."""
    with file.open() as lines:
        return [SeenSpan(*json.loads(line)) for line in lines]
