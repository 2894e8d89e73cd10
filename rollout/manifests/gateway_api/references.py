"""References of the Gateway API: to parents, to backends and to certificates.

https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from ..field_types import Port
from ..strict_model import StrictModel

GATEWAY_API_GROUP: Final = "gateway.networking.k8s.io"

Name = Annotated[str, Field(min_length=1, max_length=253)]


class ObjectReference(StrictModel):
    """An object by its kind and name; without a namespace, it is in that of the referrer."""

    group: str
    kind: Name
    name: Name
    namespace: str | None = None


class ParentReference(ObjectReference):
    """What a route attaches to: a Gateway, or a Service for callers inside the mesh."""

    group: str = GATEWAY_API_GROUP
    kind: Name = "Gateway"
    section_name: Name | None = None
    port: Port | None = None


class BackendReference(ObjectReference):
    """Where requests go. A reference to a Service needs a port."""

    group: str = ""
    kind: Name = "Service"
    port: Port | None = None


class WeightedBackend(BackendReference):
    """A backend with its part of the requests: ``weight`` divided by the sum of all weights."""

    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1


class SecretReference(ObjectReference):
    group: str = ""
    kind: Name = "Secret"
