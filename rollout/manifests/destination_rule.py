"""DestinationRule: the subsets of a Service, and the traffic policy of each.

https://istio.io/latest/docs/reference/config/networking/destination-rule/
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from .field_types import ConcreteHost, DnsLabel, ExportTo
from .metadata import IstioObject
from .strict_model import StrictModel, unsupported
from .traffic_policy import TrafficPolicy


class Subset(StrictModel):
    """The pods of a Service that have all of the labels."""

    name: DnsLabel
    labels: dict[str, str] = Field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(StrictModel):
    host: ConcreteHost
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: ExportTo = ("*",)
    workload_selector: Annotated[
        Any, unsupported("a rule for some client workloads only", "remove workloadSelector")
    ] = None


class DestinationRule(IstioObject):
    spec: DestinationRuleSpec
