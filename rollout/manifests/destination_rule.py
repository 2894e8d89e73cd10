"""DestinationRule: a Service's subsets, and how each is treated."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from .metadata import IstioObject
from .part import Part, unsupported
from .traffic_policy import TrafficPolicy
from .values import ConcreteHost, DnsLabel, ExportTo


class Subset(Part):
    """The pods of a Service that carry all of the labels."""

    name: DnsLabel
    labels: dict[str, str] = Field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(Part):
    host: ConcreteHost
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: ExportTo = ("*",)
    workload_selector: Annotated[
        Any, unsupported("rules for some callers only", "leave workloadSelector out")
    ] = None


class DestinationRule(IstioObject):
    spec: DestinationRuleSpec
