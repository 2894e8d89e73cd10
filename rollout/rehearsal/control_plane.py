"""What istiod does for the rehearsal: turns objects and ready pods into Envoy's configuration.

``RehearsalTarget`` fills the runner's port ``Target`` with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from ..envoy.configuration import (
    Address,
    Configuration,
    LocalAddresses,
    Objects,
    PodPort,
)
from ..envoy.local_configuration import gateway_configuration, mesh_configuration
from ..envoy.proxy import Proxy
from ..manifests.virtual_service import VirtualService
from ..plan.model import Step
from ..runner.ports import TargetFailed
from .errors import RehearsalFailed
from .local_mesh import LocalMesh
from .stubs import ELSEWHERE
from .xds_publisher import Published, XdsPublisher

Endpoints = Mapping[PodPort, tuple[Address, ...]]


class ControlPlane:
    """Holds the applied objects and publishes their configuration, one change at a time."""

    def __init__(
        self,
        objects: Objects,
        proxy: Proxy,
        mesh: LocalMesh,
        publisher: XdsPublisher,
    ) -> None:
        self._objects = objects
        self._proxy = proxy
        self._endpoints: Endpoints = {}
        self._mesh = mesh
        self._publisher = publisher
        self._lock = asyncio.Lock()
        #: How long Envoy took to apply each change of the objects, in seconds.
        self.convergence_seconds: list[float] = []

    @property
    def objects(self) -> Objects:
        return self._objects

    def write_initial(self) -> None:
        """Write the files that Envoy reads when it starts."""
        self._publisher.write_initial(self._translate(self._objects, self._endpoints))

    async def validate(self, *virtual_services: VirtualService) -> None:
        """Have Envoy validate the current objects, and again with each VirtualService replaced.

        Raise ConfigurationInvalid.
        """
        changed = [with_virtual_service(self._objects, each) for each in virtual_services]
        await self._publisher.validator.validate(
            *(self._translate(each, self._endpoints) for each in (self._objects, *changed))
        )

    async def apply(self, objects: Objects) -> Published:
        """Replace the objects; return when Envoy has applied them.

        Raise ConfigurationInvalid or NotApplied; then the previous objects stay in force.
        """
        async with self._lock:
            published = await self._publisher.publish(self._translate(objects, self._endpoints))
            self._objects = objects
        if published.files:
            self.convergence_seconds.append(published.seconds)
        return published

    async def update_endpoints(self, endpoints: Endpoints) -> None:
        """Send requests to the pods that are ready now; raise as ``apply`` does."""
        async with self._lock:
            await self._publisher.publish(self._translate(self._objects, endpoints))
            self._endpoints = endpoints

    def _translate(self, objects: Objects, endpoints: Endpoints) -> Configuration:
        elsewhere = next(iter(endpoints.get(ELSEWHERE, ())), None)
        inside = not self._proxy.is_gateway
        local = LocalAddresses(
            endpoints,
            {} if inside else self._mesh.listeners,
            mesh=next(iter(self._mesh.listeners.values())) if inside else None,
            elsewhere=elsewhere,
            sidecars=self._mesh.sidecars,
            certificates=self._mesh.certificates.by_secret,
        )
        configure = mesh_configuration if inside else gateway_configuration
        return configure(objects, local, self._proxy)


class RehearsalTarget:
    """The runner's port ``Target`` over the control plane."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane

    async def apply(self, step: Step) -> None:
        """Apply a step's VirtualService; return when Envoy has applied it; raise TargetFailed."""
        objects = with_virtual_service(self._control_plane.objects, step.routes)
        try:
            await self._control_plane.apply(objects)
        except RehearsalFailed as error:
            raise TargetFailed(f"step {step.name}: {error}") from error

    async def in_force(self, step: Step) -> bool:
        """Return True if exactly this step's VirtualService is applied."""
        wanted = step.routes
        return any(
            (each.namespace, each.name, each.spec) == (wanted.namespace, wanted.name, wanted.spec)
            for each in self._control_plane.objects.virtual_services
        )


def with_virtual_service(objects: Objects, virtual_service: VirtualService) -> Objects:
    """Return the objects with this VirtualService added, or replacing the one of its name."""
    name = (virtual_service.namespace, virtual_service.name)
    found = [
        virtual_service if (each.namespace, each.name) == name else each
        for each in objects.virtual_services
    ]
    if virtual_service not in found:
        found.append(virtual_service)
    return replace(objects, virtual_services=tuple(found))


def with_first_step(objects: Objects, first: VirtualService) -> Objects:
    """Return the objects with the first step's VirtualService, unless they have one of its name."""
    names = {(each.namespace, each.name) for each in objects.virtual_services}
    known = (first.namespace, first.name) in names
    return objects if known else with_virtual_service(objects, first)
