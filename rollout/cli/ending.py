"""What ``run`` says when it ends without a verdict: what the canary gets, and what to do."""

from __future__ import annotations

from ..cluster.target import ClusterTarget
from ..plan.model import Plan
from ..runner.controller import Controller
from ..runner.ports import TargetFailed
from ..runner.reasons import describe_canary_traffic


class Ending:
    """Knows what the canary gets from the runner, or else from the live routes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.controller: Controller | None = None

    def describe(self) -> str:
        """Return what the canary gets as far as the runner knows, and the next command."""
        known = self.controller.describe_traffic() if self.controller else ""
        return self._advise(known or "the routes stay as they are")

    async def read(self, target: ClusterTarget) -> str:
        """Return the same; ask the cluster if the runner doesn't know."""
        if self.controller and (known := self.controller.describe_traffic()):
            return self._advise(known)
        try:
            for number, step in enumerate(self._plan.steps):
                if await target.in_force(step):
                    return self._advise(describe_canary_traffic(self._plan, number))
        except TargetFailed:
            return self._advise("what the canary gets can't be read")
        return self._advise("the routes are those of no step")

    def _advise(self, traffic: str) -> str:
        rollout = f"{self._plan.namespace}/{self._plan.virtual_service}"
        return (
            f"{traffic}, and nobody watches it now; run the same command again to continue; to go"
            f" back, tallykv-rollout abort {rollout} first"
        )
