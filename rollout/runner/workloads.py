"""The port to the pods of both releases, for a plan that owns its workloads. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .release_state import ReleaseState


@dataclass(frozen=True, slots=True)
class Pods:
    """Whether the pods of a workload are as they should be.

    ``detail`` says what is missing, with the reason that Kubernetes gives. ``hopeless`` is True if
    Kubernetes itself has given up. Otherwise they may take ``deadline_seconds``.
    """

    ready: bool
    detail: str = ""
    hopeless: bool = False
    deadline_seconds: float = 600.0


class Workloads(Protocol):
    """Changes the pods of both releases.

    Each method looks at what is there and changes only what differs, so it may be called at each
    poll and after a kill. Each raises TargetFailed.
    """

    async def count_stable(self) -> int:
        """Return how many pods the stable release should have now."""

    async def prepare(self, release: ReleaseState, share: float) -> Pods:
        """Give the canary its images, and pods for this share of the requests, 0 to 1."""

    async def promote(self, release: ReleaseState) -> Pods:
        """Give the stable workload the canary's pod template, and its own labels."""

    async def restore(self) -> Pods:
        """Give the stable workload the template that it had before ``promote``."""

    async def retire(self) -> None:
        """Scale the canary to no pods, unless an autoscaler owns it; forget the old template."""
