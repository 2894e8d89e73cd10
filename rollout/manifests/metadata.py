"""The fields that all of Istio's objects share: metadata, selectors, target references."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from .strict_model import StrictModel

DEFAULT_NAMESPACE: Final = "default"


class Metadata(StrictModel):
    """Kubernetes' ObjectMeta. Fields that only the cluster writes may have any value."""

    name: Annotated[str, Field(min_length=1)]
    namespace: str = DEFAULT_NAMESPACE
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
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

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace


class PolicyTargetReference(StrictModel):
    """The Gateway or Service that a policy applies to, in place of a selector."""

    group: str = ""
    kind: str
    name: str
    namespace: str | None = None


class WorkloadSelector(StrictModel):
    """Selects the pods that have all of these labels."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class ProviderReference(StrictModel):
    """The name of a provider that Istio's MeshConfig defines."""

    name: str
