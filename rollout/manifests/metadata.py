"""What every object says of itself."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from .part import Part

DEFAULT_NAMESPACE: Final = "default"


class Metadata(Part):
    """Name, namespace, labels and annotations; what the cluster adds is taken as it comes."""

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


class IstioObject(Part):
    """An object of Istio's; the kinds add their ``spec``."""

    api_version: str
    kind: str
    metadata: Metadata
    #: Written by the cluster alone.
    status: Any = None

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace


class PolicyTargetReference(Part):
    """What a policy is attached to, where no selector says so."""

    group: str = ""
    kind: str
    name: str
    namespace: str | None = None


class WorkloadSelector(Part):
    """Which pods a policy is for, by all of their labels."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class ProviderReference(Part):
    name: str
