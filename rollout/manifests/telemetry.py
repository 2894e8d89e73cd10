"""Telemetry: which traces, metrics and access logs proxies produce.

https://istio.io/latest/docs/reference/config/telemetry/
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .field_types import Duration
from .metadata import IstioObject, PolicyTargetReference, ProviderReference, WorkloadSelector
from .strict_model import StrictModel


class TracingSelector(StrictModel):
    mode: Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"] = "CLIENT_AND_SERVER"


class LiteralTag(StrictModel):
    value: str


class NamedTag(StrictModel):
    name: str
    default_value: str | None = None


class CustomTag(StrictModel):
    literal: LiteralTag | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None


class Tracing(StrictModel):
    match: TracingSelector | None = None
    providers: tuple[ProviderReference, ...] = ()
    random_sampling_percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    disable_span_reporting: bool | None = None
    custom_tags: dict[str, CustomTag] = Field(default_factory=dict)
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None


class MetricSelector(StrictModel):
    metric: str | None = None
    custom_metric: str | None = None
    mode: Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"] = "CLIENT_AND_SERVER"


class TagOverride(StrictModel):
    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str | None = None


class MetricsOverride(StrictModel):
    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = Field(default_factory=dict)


class Metrics(StrictModel):
    providers: tuple[ProviderReference, ...] = ()
    overrides: tuple[MetricsOverride, ...] = ()
    reporting_interval: Duration | None = None


class LogFilter(StrictModel):
    expression: str


class AccessLogging(StrictModel):
    match: TracingSelector | None = None
    providers: tuple[ProviderReference, ...] = ()
    disabled: bool | None = None
    filter: LogFilter | None = None


class TelemetrySpec(StrictModel):
    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()


class Telemetry(IstioObject):
    spec: TelemetrySpec = Field(default_factory=TelemetrySpec)
