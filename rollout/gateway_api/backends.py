"""The destinations of routes: which backends exist and may be used, with which weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ..manifests.destinations import Destination, WeightedDestination
from ..manifests.field_types import PortSelector
from ..manifests.gateway_api.filters import GrpcFilter
from ..manifests.gateway_api.references import BackendReference
from ..manifests.gateway_api.routes import ApiRoute, GrpcBackend, HttpBackend
from ..manifests.hosts import ServiceName
from .grants import Grants

#: Requests for it get 500.
_UNKNOWN: Final = Destination.model_construct(host="")


class RouteRefused(Exception):
    """istiod makes no routes of the object at all."""


class Backends:
    """The destinations of one route.

    ``grants`` is None where references to other namespaces need no grant, which is in the mesh.
    """

    def __init__(self, route: ApiRoute, grants: Grants | None, hosts: frozenset[str]) -> None:
        self._route = route
        self._grants = grants
        self._hosts = hosts

    def destinations(
        self,
        backends: Iterable[GrpcBackend | HttpBackend],
        headers: Callable[[Iterable[GrpcFilter]], Mapping[str, Any]],
    ) -> tuple[WeightedDestination, ...]:
        """Return the destinations of the backends with a weight; raise RouteRefused.

        ``headers`` returns the field for the filters of a backend.
        """
        active = [each for each in backends if each.weight]
        return tuple(
            WeightedDestination.model_construct(
                destination=self._destination(each) or _UNKNOWN,
                # As from istiod: a single destination gets everything.
                weight=each.weight if len(active) > 1 else 0,
                **headers(each.filters),
            )
            for each in active
        )

    def mirror(self, backend: BackendReference) -> Destination | None:
        """Return the destination of copies; None if it does not exist, or may not be used."""
        found = self._destination(backend)
        return found if found and found.host in self._hosts else None

    def _destination(self, backend: BackendReference) -> Destination | None:
        """Return a destination, which may not exist; None for what can't be one."""
        if self._grants and not self._grants.allow(self._route, backend):
            return None
        namespace = backend.namespace or self._route.namespace
        match backend.group, backend.kind:
            case ("", "Service") | ("multicluster.x-k8s.io", "ServiceImport"):
                if "." in backend.name:
                    raise RouteRefused(f"{backend.name} is no name of a Service")
                host = ServiceName(namespace, backend.name).host
            case ("networking.istio.io", "Hostname"):
                if backend.namespace:
                    raise RouteRefused("a Hostname has no namespace")
                host = backend.name
            case _:
                return None
        if backend.port is None:
            raise RouteRefused(f"the backend {backend.name} has no port")
        port = PortSelector.model_construct(number=backend.port)
        return Destination.model_construct(host=host, port=port)
