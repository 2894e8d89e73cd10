"""Decode spans from OTLP requests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True)
class Link:
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Event:
    name: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """A received span. Ids are lowercase hexadecimal; a root span's ``parent_id`` is empty."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    status: str
    status_message: str
    start_ns: int
    end_ns: int
    flags: int
    attributes: dict[str, Any]
    links: tuple[Link, ...]
    events: tuple[Event, ...]
    resource: dict[str, Any]
    scope: str
    #: The schema URLs of the resource and of the scope.
    schemas: tuple[str, str]

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


def decode(body: bytes) -> list[Span]:
    """Decode a serialised ExportTraceServiceRequest. Raises DecodeError."""
    return spans_of(ExportTraceServiceRequest.FromString(body))


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        _span(
            span,
            _attributes(group.resource.attributes),
            scoped.scope.name,
            (group.schema_url, scoped.schema_url),
        )
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def _span(
    span: trace_pb2.Span, resource: dict[str, Any], scope: str, schemas: tuple[str, str]
) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_message=span.status.message,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        flags=span.flags,
        attributes=_attributes(span.attributes),
        links=tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes))
            for link in span.links
        ),
        events=tuple(Event(event.name, _attributes(event.attributes)) for event in span.events),
        resource=resource,
        scope=scope,
        schemas=schemas,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_value(each) for each in value.array_value.values]
    if which == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, which)
