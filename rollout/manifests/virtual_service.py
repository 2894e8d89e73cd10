"""VirtualService: the routes of hosts, at gateways and inside the mesh.

https://istio.io/latest/docs/reference/config/networking/virtual-service/
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from .field_types import ExportTo, Host
from .http_route import HttpRoute
from .metadata import IstioObject
from .strict_model import StrictModel, unsupported

#: The name in ``gateways`` for all sidecars. It is the default.
MESH: Final = "mesh"


class VirtualServiceSpec(StrictModel):
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    http: Annotated[tuple[HttpRoute, ...], Field(min_length=1)]
    gateways: tuple[str, ...] = ()
    export_to: ExportTo = ("*",)
    tcp: Annotated[Any, unsupported("routing TCP connections", "use http")] = None
    tls: Annotated[Any, unsupported("routing by SNI", "use http")] = None


class VirtualService(IstioObject):
    spec: VirtualServiceSpec

    @property
    def gateways(self) -> tuple[str, ...]:
        """Return ``mesh`` and the Gateways as ``namespace/name``."""
        return tuple(self.qualify(each) for each in self.spec.gateways) or (MESH,)

    def qualify(self, gateway: str) -> str:
        """Return a Gateway as ``namespace/name``, and ``mesh`` as it is."""
        if gateway == MESH:
            return MESH
        namespace, slash, name = gateway.rpartition("/")
        if not slash and "." in name:
            # An old form that Istio still reads: name.namespace.svc.cluster.local
            name, namespace, *_ = name.split(".")
        return f"{self.namespace if namespace in {'', '.'} else namespace}/{name}"
