"""Telemetry: what proxies trace, count and log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .metadata import IstioObject, PolicyTargetReference, ProviderReference, WorkloadSelector
from .part import Part
from .values import Duration


class TracingSelector(Part):
    mode: Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"] = "CLIENT_AND_SERVER"


class LiteralTag(Part):
    value: str


class NamedTag(Part):
    name: str
    default_value: str | None = None


class CustomTag(Part):
    literal: LiteralTag | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None


class Tracing(Part):
    match: TracingSelector | None = None
    providers: tuple[ProviderReference, ...] = ()
    random_sampling_percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    disable_span_reporting: bool | None = None
    custom_tags: dict[str, CustomTag] = Field(default_factory=dict)
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None


class MetricSelector(Part):
    metric: str | None = None
    custom_metric: str | None = None
    mode: Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"] = "CLIENT_AND_SERVER"


class TagOverride(Part):
    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str | None = None


class MetricsOverride(Part):
    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = Field(default_factory=dict)


class Metrics(Part):
    providers: tuple[ProviderReference, ...] = ()
    overrides: tuple[MetricsOverride, ...] = ()
    reporting_interval: Duration | None = None


class LogFilter(Part):
    expression: str


class AccessLogging(Part):
    match: TracingSelector | None = None
    providers: tuple[ProviderReference, ...] = ()
    disabled: bool | None = None
    filter: LogFilter | None = None


class TelemetrySpec(Part):
    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()


class Telemetry(IstioObject):
    spec: TelemetrySpec = Field(default_factory=TelemetrySpec)
