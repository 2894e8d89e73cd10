"""What istiod does in a cluster: objects and ready pods become what Envoy has in force."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from ..envoy.configuration import Address, Configuration, Objects, Placement, PodPort
from ..envoy.translation import translate
from ..manifests.virtual_service import VirtualService
from .xds import Published, Publisher

Pods = Mapping[PodPort, tuple[Address, ...]]


class ControlPlane:
    """Holds the mesh's objects; changes are published one at a time."""

    def __init__(
        self, objects: Objects, pods: Pods, listeners: Mapping[int, Address], publisher: Publisher
    ) -> None:
        self._objects = objects
        self._pods = pods
        self._listeners = listeners
        self._publisher = publisher
        self._turn = asyncio.Lock()
        #: How long each change of routes took to be in force, in seconds.
        self.reloads: list[float] = []

    @property
    def objects(self) -> Objects:
        return self._objects

    def place(self) -> None:
        """Write what an Envoy that is yet to start begins with."""
        self._publisher.place(self._translate(self._objects, self._pods))

    async def start(self) -> None:
        """Return once Envoy has applied what it began with; raise NotApplied."""
        await self._publisher.confirm_start()

    async def check(self, *routes: VirtualService) -> None:
        """Ask Envoy whether it would take what is in force, and these instead of their namesakes.

        Raises ConfigurationInvalid.
        """
        changed = [with_routes(self._objects, each) for each in routes]
        await self._publisher.validation.check(
            *(self._translate(each, self._pods) for each in (self._objects, *changed))
        )

    async def route(self, routes: VirtualService) -> Published:
        """Put a VirtualService in force instead of its namesake and return once it is.

        Raises ConfigurationInvalid, NotApplied; the one before is in force then.
        """
        return await self.change(with_routes(self._objects, routes))

    async def change(self, objects: Objects) -> Published:
        """Put other objects in force and return once they are; raise as ``route`` does."""
        async with self._turn:
            published = await self._publisher.publish(self._translate(objects, self._pods))
            self._objects = objects
        if published.files:
            self.reloads.append(published.seconds)
        return published

    async def place_pods(self, pods: Pods) -> None:
        """Let requests go to the pods that are ready now; raise as ``route`` does."""
        async with self._turn:
            await self._publisher.publish(self._translate(self._objects, pods))
            self._pods = pods

    def has(self, routes: VirtualService) -> bool:
        """Tell whether exactly this VirtualService is in force."""
        return any(
            (each.namespace, each.name, each.spec) == (routes.namespace, routes.name, routes.spec)
            for each in self._objects.virtual_services
        )

    def _translate(self, objects: Objects, pods: Pods) -> Configuration:
        return translate(objects, Placement(pods, self._listeners))


def with_routes(objects: Objects, routes: VirtualService) -> Objects:
    """Return the objects with a VirtualService instead of its namesake, or added."""
    found = [
        routes if (each.namespace, each.name) == (routes.namespace, routes.name) else each
        for each in objects.virtual_services
    ]
    if routes not in found:
        found.append(routes)
    return replace(objects, virtual_services=tuple(found))
