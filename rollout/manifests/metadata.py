"""The fields that all of Istio's objects share: metadata, selectors, target references."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from .field_errors import Reason, field_error
from .names import LabelKey, Labels, Namespace, ObjectName, SelectorLabels
from .strict_model import StrictModel

DEFAULT_NAMESPACE: Final = "default"
_DRY_RUN: Final = "istio.io/dry-run"


class Metadata(StrictModel):
    """Kubernetes' ObjectMeta. Fields that only the cluster writes may have any value."""

    name: ObjectName
    namespace: Namespace = DEFAULT_NAMESPACE
    labels: Labels = Field(default_factory=dict)
    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    generate_name: str | None = None
    creation_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    deletion_timestamp: Any = None
    generation: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    resource_version: Any = None
    self_link: Any = None
    uid: Any = None


class IstioObject(StrictModel):
    """Any object of Istio's; each kind adds its ``spec``."""

    api_version: str
    kind: str
    metadata: Metadata
    #: Only the cluster writes it.
    status: Any = None

    @model_validator(mode="after")
    def _check_dry_run(self) -> IstioObject:
        if _DRY_RUN in self.metadata.annotations and self.kind != "AuthorizationPolicy":
            raise field_error(
                Reason.BAD_VALUE,
                "only an AuthorizationPolicy can be tried without effect; Istio rejects others",
                "remove the annotation",
                ("metadata", "annotations", _DRY_RUN),
            )
        return self

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace


_TARGETS: Final = frozenset(
    {
        ("", "Service"),
        ("core", "Service"),
        ("networking.istio.io", "ServiceEntry"),
        ("gateway.networking.k8s.io", "Gateway"),
        ("gateway.networking.k8s.io", "GatewayClass"),
    }
)


class PolicyTargetReference(StrictModel):
    """The Gateway or Service that a policy applies to, in place of a selector."""

    group: str = ""
    kind: str
    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: str | None = None

    @model_validator(mode="after")
    def _check_target(self) -> PolicyTargetReference:
        if self.namespace:
            raise field_error(
                Reason.BAD_VALUE,
                "a policy can't refer to another namespace",
                "remove it",
                ("namespace",),
            )
        if (self.group, self.kind) not in _TARGETS:
            group = f" of the group {self.group}" if self.group else ""
            raise field_error(
                Reason.BAD_VALUE,
                f"a policy can't refer to a {self.kind}{group}",
                "refer to a Service, a ServiceEntry, or a Gateway of the Gateway API",
                ("kind",),
            )
        return self


class WorkloadSelector(StrictModel):
    """Selects the pods that have all of these labels."""

    match_labels: Annotated[SelectorLabels, Field(max_length=4096)] = Field(default_factory=dict)


class LabelSelector(StrictModel):
    """The same, as the older kinds write it."""

    labels: Annotated[SelectorLabels, Field(max_length=256)] = Field(default_factory=dict)


class TargetedSpec(StrictModel):
    """What a policy applies to: all pods of the namespace, a selection, or its targets."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: Annotated[tuple[PolicyTargetReference, ...], Field(max_length=16)] = ()

    @model_validator(mode="after")
    def _check_one_target(self) -> TargetedSpec:
        if sum(map(bool, (self.selector is not None, self.target_ref, self.target_refs))) > 1:
            raise field_error(
                Reason.BAD_VALUE,
                "only one of selector, targetRef and targetRefs can be set",
                "keep one of them",
                ("selector" if self.selector is not None else "targetRefs",),
            )
        return self


class ProviderReference(StrictModel):
    """The name of a provider that Istio's MeshConfig defines."""

    name: Annotated[str, Field(min_length=1)]
