"""DestinationRule: the subsets of a Service, and the traffic policy of each.

https://istio.io/latest/docs/reference/config/networking/destination-rule/
"""

from __future__ import annotations

from pydantic import Field, ValidationInfo, model_validator

from .field_errors import Reason, field_error
from .field_types import ExportTo
from .metadata import IstioObject, WorkloadSelector
from .names import DnsLabel, Host, Labels
from .strict_model import StrictModel
from .traffic_policy import WrittenPolicy


class Subset(StrictModel):
    """The pods of a Service that have all of the labels."""

    name: DnsLabel
    labels: Labels = Field(default_factory=dict)
    traffic_policy: WrittenPolicy | None = None


class DestinationRuleSpec(StrictModel):
    host: Host
    traffic_policy: WrittenPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: ExportTo = ("*",)
    #: The callers that the rule is for; with a selector, only callers in the rule's namespace.
    workload_selector: WorkloadSelector | None = None

    @model_validator(mode="after")
    def _check_export(self, info: ValidationInfo) -> DestinationRuleSpec:
        own = {".", (info.context or {}).get("namespace")}
        exported = self.is_set("export_to") and not own.issuperset(self.export_to)
        if self.workload_selector and exported:
            raise field_error(
                Reason.BAD_VALUE,
                "a rule with a workloadSelector can't be exported to other namespaces",
                'write exportTo: ["."], or remove one of the two',
                ("exportTo",),
            )
        return self


class DestinationRule(IstioObject):
    spec: DestinationRuleSpec
