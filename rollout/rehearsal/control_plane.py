"""What istiod does for the rehearsal: turns objects and ready pods into Envoy's configuration.

``RehearsalTarget`` fills the runner's port ``Target`` with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ..envoy.configuration import (
    Address,
    Configuration,
    LocalAddresses,
    Objects,
    PodPort,
)
from ..envoy.local_configuration import gateway_configuration, mesh_configuration
from ..envoy.proxy import Proxy
from ..plan.model import Step
from ..runner.ports import TargetFailed
from .errors import RehearsalFailed
from .local_mesh import LocalMesh
from .step_routes import applied_routes, is_same, with_step
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

    async def validate(self, *steps: Step) -> None:
        """Have Envoy validate the current objects, and again with the routes of each step.

        Raise ConfigurationInvalid.
        """
        changed = [with_step(self._objects, each) for each in steps]
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
        """Apply a step's routes; return when Envoy has applied them; raise TargetFailed."""
        objects = with_step(self._control_plane.objects, step)
        try:
            await self._control_plane.apply(objects)
        except RehearsalFailed as error:
            raise TargetFailed(f"step {step.name}: {error}") from error

    async def in_force(self, step: Step) -> bool:
        """Return True if exactly this step's routes are applied."""
        applied = applied_routes(self._control_plane.objects)
        return all(
            any(is_same(each, routes) and each.spec == routes.spec for each in applied)
            for routes in step.all_routes
        )

    async def is_between(self, _: Step, __: Step, /) -> bool:
        """Return False: Envoy gets all routes of a step at once."""
        return False
