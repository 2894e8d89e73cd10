"""What a rollout does beside moving requests: the release's images, pods and phase. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """Where a release with workloads of its own is. Each is saved before it begins."""

    #: The steps of the plan are walked.
    WALK = "walk"
    #: All requests go to the canary, and the stable pods get its template.
    STABLE_PODS = "stable-pods"
    #: The stable pods run the new release; requests go back to them step by step.
    RETURN = "return"
    #: The way back after ``STABLE_PODS``: the stable pods get their old template.
    RESTORE = "restore"
    #: All requests go to the stable pods; the canary is scaled down.
    RETIRE = "retire"


@dataclass(slots=True, kw_only=True)
class ReleaseState:
    """Images, pods and phase.

    ``images`` are by container, "" for the only one; without any the canary's template is left.
    ``stable_pods`` is how many pods the stable release had when the rollout began.
    ``waiting_since`` is the time, in Unix seconds, since which pods are awaited; None while they
    are ready.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    stable_pods: int = 1
    phase: Phase = Phase.WALK
    waiting_since: float | None = None

    def dump(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "images": dict(self.images),
            "stable_pods": self.stable_pods,
            "phase": self.phase.value,
            "waiting_since": self.waiting_since,
        }

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> ReleaseState:
        """Restore what ``dump`` returned."""
        return cls(
            images=saved["images"],
            stable_pods=saved["stable_pods"],
            phase=Phase(saved["phase"]),
            waiting_since=saved["waiting_since"],
        )
