"""Loads and saves a rollout's state; a store that fails stops no runner that is at work."""

from __future__ import annotations

from typing import Final

from ..plan.model import Plan
from .ports import Ports
from .rollout_state import RolloutState
from .state_store import StateCorrupt, StateFailed, StateHeld, StateUnknown

#: How long to ask for the state at first, and to save the verdict at last, while that fails.
_PATIENCE_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.5


class StateKeeper:
    """``trouble`` is why the state could not be saved last, an empty text if it was."""

    def __init__(self, plan: Plan, ports: Ports) -> None:
        self._plan = plan
        self._ports = ports
        self.trouble = ""
        #: True if the new rollout takes the place of one that has ended.
        self.replaces = False
        #: True if a state of the rollout that this runner runs was loaded or saved.
        self._has_begun = False

    async def load(self, *, again: bool) -> RolloutState | None:
        """Return the saved state of a rollout that goes on; raise StateFailed, PlanChanged.

        With ``again``, a rollout that has ended and a damaged state count as none. Not if this
        runner had begun its own: another one, which held it meanwhile, has ended it.
        """
        again = again and not self._has_begun
        asked = self._ports.monotonic()
        while True:
            try:
                saved = await self._ports.store.load()
                break
            except StateCorrupt:
                if again:
                    return None
                raise
            except StateUnknown:
                raise
            except StateFailed:
                if self._ports.monotonic() - asked > _PATIENCE_SECONDS:
                    raise
                await self._ports.sleep(_PAUSE_SECONDS)
        self.replaces = saved is not None and again and bool(saved.get("ended"))
        if saved is None or self.replaces:
            return None
        self._has_begun = True
        return RolloutState.load(self._plan, saved)

    async def save(self, state: RolloutState, now: float) -> bool:
        """Save the state; return False if that is not possible now. Raise StateTaken."""
        self.trouble = ""
        state.seen_at = now
        try:
            await self._ports.store.save(state.dump(self._plan))
        except StateHeld:
            raise
        except StateFailed as failed:
            self.trouble = str(failed)
        self._has_begun |= not self.trouble
        return not self.trouble

    async def save_verdict(self, state: RolloutState, now: float) -> None:
        """Save how the rollout ended; raise StateFailed if that fails for minutes."""
        asked = self._ports.monotonic()
        while not await self.save(state, now):
            await self._ports.recorder.record_hold(state, "state", self.trouble)
            if self._ports.monotonic() - asked > _PATIENCE_SECONDS:
                raise StateFailed(f"{state.verdict}, but this is not saved: {self.trouble}")
            await self._ports.sleep(_PAUSE_SECONDS)
