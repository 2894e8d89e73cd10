"""VirtualService: the routes of some hosts, at gateways and inside the mesh."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from .http_route import HttpRoute
from .metadata import IstioObject
from .part import Part, unsupported
from .values import ExportTo, Host

#: Among ``gateways`` this stands for all sidecars; also what an empty list stands for.
MESH: Final = "mesh"


class VirtualServiceSpec(Part):
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    http: Annotated[tuple[HttpRoute, ...], Field(min_length=1)]
    gateways: tuple[str, ...] = ()
    export_to: ExportTo = ("*",)
    tcp: Annotated[Any, unsupported("routes of TCP connections", "only http is supported")] = None
    tls: Annotated[Any, unsupported("routes by SNI", "only http is supported")] = None


class VirtualService(IstioObject):
    spec: VirtualServiceSpec

    @property
    def gateways(self) -> tuple[str, ...]:
        """Return ``mesh``, and Gateways as ``namespace/name``."""
        return tuple(self.qualify(each) for each in self.spec.gateways) or (MESH,)

    def qualify(self, gateway: str) -> str:
        """Return a Gateway's name with its namespace; ``mesh`` stays."""
        if gateway == MESH:
            return MESH
        namespace, slash, name = gateway.rpartition("/")
        if not slash and "." in name:
            # As Istio once had it: name.namespace.svc.cluster.local
            name, namespace, *_ = name.split(".")
        return f"{self.namespace if namespace in {'', '.'} else namespace}/{name}"
