"""Steps put in force on the rehearsal's Envoy."""

from __future__ import annotations

from ..plan.model import Step
from ..runner.ports import TargetFailed
from .control_plane import ControlPlane
from .programs import RehearsalFailed


class RehearsalTarget:
    """The port ``Target`` over the rehearsal's control plane."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane

    async def apply(self, step: Step) -> None:
        """Put a step in force and return once Envoy says that it is; raise TargetFailed."""
        try:
            await self._control_plane.route(step.routes)
        except RehearsalFailed as error:
            raise TargetFailed(f"step {step.name}: {error}") from error

    async def in_force(self, step: Step) -> bool:
        """Tell whether the routes are those of a step."""
        return self._control_plane.has(step.routes)
