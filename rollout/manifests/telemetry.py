"""Telemetry: which traces, metrics and access logs proxies produce.

https://istio.io/latest/docs/reference/config/telemetry/
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .field_errors import Reason, field_error
from .field_types import Duration
from .metadata import IstioObject, ProviderReference, TargetedSpec
from .strict_model import StrictModel

Text = Annotated[str, Field(min_length=1)]


class TracingSelector(StrictModel):
    mode: Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"] = "CLIENT_AND_SERVER"


class TextTag(StrictModel):
    value: Text


class NamedTag(StrictModel):
    name: Text
    default_value: str | None = None


class CustomTag(StrictModel):
    literal: TextTag | None = None
    formatter: TextTag | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None

    @model_validator(mode="after")
    def _check_one_source(self) -> CustomTag:
        sources = (self.literal, self.formatter, self.environment, self.header)
        if sum(each is not None for each in sources) > 1:
            raise field_error(Reason.BAD_VALUE, "a tag has one source", "keep one of them")
        return self


class Tracing(StrictModel):
    match: TracingSelector | None = None
    providers: tuple[ProviderReference, ...] = ()
    random_sampling_percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    disable_span_reporting: bool | None = None
    disable_context_propagation: bool | None = None
    custom_tags: dict[Text, CustomTag] = Field(default_factory=dict)
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None


class MetricSelector(StrictModel):
    metric: (
        Literal[
            "ALL_METRICS",
            "REQUEST_COUNT",
            "REQUEST_DURATION",
            "REQUEST_SIZE",
            "RESPONSE_SIZE",
            "TCP_OPENED_CONNECTIONS",
            "TCP_CLOSED_CONNECTIONS",
            "TCP_SENT_BYTES",
            "TCP_RECEIVED_BYTES",
            "GRPC_REQUEST_MESSAGES",
            "GRPC_RESPONSE_MESSAGES",
        ]
        | None
    ) = None
    custom_metric: Text | None = None
    mode: Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"] = "CLIENT_AND_SERVER"

    @model_validator(mode="after")
    def _check_one_metric(self) -> MetricSelector:
        if self.metric and self.custom_metric:
            raise field_error(
                Reason.BAD_VALUE, "metric and customMetric exclude each other", "keep one of them"
            )
        return self


class TagOverride(StrictModel):
    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str | None = None

    @model_validator(mode="after")
    def _check_value(self) -> TagOverride:
        if (self.operation == "UPSERT") != bool(self.value):
            raise field_error(
                Reason.BAD_VALUE,
                "UPSERT needs a value, and REMOVE can't have one",
                "add or remove the value",
                ("value",),
            )
        return self


class MetricsOverride(StrictModel):
    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = Field(default_factory=dict)


class Metrics(StrictModel):
    providers: tuple[ProviderReference, ...] = ()
    overrides: tuple[MetricsOverride, ...] = ()
    reporting_interval: Duration | None = None


class LogFilter(StrictModel):
    expression: str | None = None


class AccessLogging(StrictModel):
    match: TracingSelector | None = None
    providers: tuple[ProviderReference, ...] = ()
    disabled: bool | None = None
    filter: LogFilter | None = None


class TelemetrySpec(TargetedSpec):
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()


class Telemetry(IstioObject):
    spec: TelemetrySpec = Field(default_factory=TelemetrySpec)
