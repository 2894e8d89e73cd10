"""What the controller needs of the world: where weights go, where evidence comes from."""

from __future__ import annotations

from typing import Protocol

from ..evidence.counts import Reading
from ..plan.model import Step


class TargetFailed(Exception):
    """The routes can't be read or changed now; the message says what to do."""


class NotOurs(TargetFailed):
    """Somebody else holds the weights; the message names who."""


class SourceFailed(Exception):
    """There is no evidence to be had now; the message says why."""


class Target(Protocol):
    """Where a step is put in force: the local rehearsal, or a cluster."""

    async def apply(self, step: Step) -> None:
        """Put a step in force and return once it is; doing it twice is doing it once."""

    async def in_force(self, step: Step) -> bool:
        """Tell whether the routes are those of a step."""


class Source(Protocol):
    """Where evidence comes from."""

    async def read(self) -> Reading:
        """Return all counters; raise SourceFailed if they can't be had."""
