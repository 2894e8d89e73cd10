"""What a runner sees: the evidence of a rollout, its time, and whether the routes are as meant."""

from __future__ import annotations

import math
from typing import Final

from ..evidence.counts import Arm, Window
from ..evidence.windows import sum_windows
from ..plan.model import Plan, Strategy
from .decisions import has_requests_for_every_arm, is_outage
from .ports import Ports, SourceFailed, TargetFailed
from .rollout_state import RolloutState

#: So many requests the canary must have answered before its latencies count without a baseline.
_WARM_REQUESTS: Final = 150
#: A canary is silent so long, in seconds, after three samples of all its pods are missing.
_MISSED_SECONDS: Final = 6.0
#: The times that a runner notes in a state by its ``now``.
_TIMES: Final = (
    "since",
    "step_since",
    "change_since",
    "uncertain_until",
    "exposed_at",
    "paused_since",
)
#: From this difference on, in seconds, the source's clock is shown to be another one.
_SKEW_SECONDS: Final = 5.0


class Observation:
    """Reads counters into the state's evidence. Times are by the source's clock."""

    def __init__(self, plan: Plan, ports: Ports) -> None:
        self._plan = plan
        self._ports = ports
        #: False before this runner's first snapshot: the times that it notes are then by this
        #: machine's clock, or count on from the last snapshot of the runner before.
        self._shifted = False
        #: The times of a resumed state, which are by the source's clock.
        self._known: dict[str, float | None] = {}
        #: The last snapshot's time, and the monotonic time at which it was read.
        self._read_at: tuple[float, float] | None = None
        #: True if the routes were not those of the step when they were last read.
        self._drift = False
        #: True if the intended routes were found in force after a failed attempt.
        self._applied = False
        self._has_told_skew = False

    def resume(self, state: RolloutState) -> None:
        """Go on from a saved state: its times are by the source's clock, if that was ever read."""
        if state.windows.at is not None:
            self._known = {name: getattr(of, name) for name, of in _noted_times(state)}
            # Later than that by an unknown time; the next snapshot tells. This machine's clock may
            # be another one's.
            self._read_at = state.windows.at, self._ports.monotonic()

    def now(self) -> float:
        """Return the time by the source's clock; before the first snapshot, by this machine's."""
        if self._read_at is None:
            return self._ports.clock()
        at, read = self._read_at
        return at + self._ports.monotonic() - read

    async def read(self, state: RolloutState) -> str:
        """Add the requests since the last poll to the evidence; return why none could be read."""
        try:
            snapshot = await self._ports.source.read()
        except SourceFailed as failed:
            return str(failed)
        self._note_time(state, snapshot.at)
        settled_since = self._settled_since(state)
        # Requests that began under other weights end after the change.
        are_late = snapshot.oldest < settled_since
        whole: list[Window] = []
        cut: list[Window] = []
        for window in state.windows.add(snapshot):
            (cut if are_late or window.since < settled_since else whole).append(window)
        self._listen(state, paired=snapshot.paired, are_late=are_late)
        for windows in (cut, whole):
            if windows:
                await self._observe_window(state, sum_windows(windows), whole=windows is whole)
        return ""

    async def find_drift(self, state: RolloutState) -> tuple[str, str]:
        """Return a reason and how the routes differ from the step in force, or two empty texts."""
        step = self._plan.steps[state.step]
        self._drift = True
        try:
            self._drift = not await self._ports.target.in_force(step)
        except TargetFailed as failed:
            return "target", str(failed)
        if state.edited and not self._drift:
            # A window that ends later may have begun before.
            state.uncertain_until = self.now()
        state.edited = self._drift
        if not self._drift:
            return "", ""
        return "drift", (
            f"the routes differ from step {step.name}: someone else changed them;"
            " restore them, or abort the rollout"
        )

    def note_decision(self) -> None:
        """Note that a step was decided on: no attempt to take it has failed yet."""
        self._applied = False

    async def note_failed_change(self, state: RolloutState) -> None:
        """Note that an attempt which failed now may have changed the routes."""
        if self._applied:
            return  # further attempts change nothing
        steps, target = self._plan.steps, self._ports.target
        try:
            if state.step >= 0 and await target.in_force(steps[state.step]):
                return
            self._applied = await target.in_force(steps[state.intended])
        except TargetFailed:
            pass  # the target can't be read, but it may have applied the change
        state.uncertain_until = self.now()

    def _listen(self, state: RolloutState, *, paired: bool, are_late: bool) -> None:
        """Look whether the canary answers, once all samples are of the step in force."""
        step = self._plan.steps[state.step]
        interval = state.windows.interval
        settled = self.now() - state.step_since >= interval
        latest = state.windows.latest(self._settled_since(state))
        known = settled and state.step == state.intended and not self._drift and not are_late
        # If nothing else answers, each proxy is asked once.
        least_seconds = interval if step.share == 1 else 0.0
        if not paired:
            # Pods are sampled at different times. Those that are gone look like those whose samples
            # are missed.
            is_sampled = state.windows.is_sampled(Arm.CANARY)
            least_seconds = 2 * interval if is_sampled else 3 * interval + _MISSED_SECONDS
        counts, seconds = latest or ({}, 0.0)
        state.evidence.listen(
            counts,
            step.share if known and latest else None,
            seconds,
            awaited_seconds=0.0 if paired else state.windows.awaited_seconds(Arm.CANARY),
            least_seconds=least_seconds,
        )

    async def _observe_window(self, state: RolloutState, window: Window, *, whole: bool) -> None:
        """Add a window; it is not ``whole`` if the weights may have changed within it."""
        step = self._plan.steps[state.step]
        # An attempt that failed may have changed the weights, so the split is unknown.
        known = whole and state.step == state.intended and not self._drift
        share = step.share if known else None
        steps = [state.step, state.intended]
        if not whole and state.other_step is not None:
            steps.append(state.other_step)
        shares = [self._plan.steps[each].share for each in steps]
        if not known and None in shares:
            return
        # In a blue-green rollout, preview requests choose green themselves.
        split = self._plan.strategy is not Strategy.BLUE_GREEN
        warm = self._is_warm(state, window)
        for evidence in filter(None, (state.evidence, state.step_evidence if whole else None)):
            evidence.observe(
                window,
                share,
                split=split,
                # Of all shares in the window, the greatest explains most failures of the canary.
                least_share=0.0 if known else max(each or 0.0 for each in shares),
                warm=warm,
            )
        if whole and has_requests_for_every_arm(step, window):
            state.data_at = window.until
        if known:
            state.note_rate(window)
        if is_outage(step, window):
            state.outage_at = window.until
        await self._ports.recorder.record_window(state, window, share)

    def _is_warm(self, state: RolloutState, window: Window) -> bool:
        """Return False while the canary's pods may be slow because they are young."""
        seconds = min(self._plan.warm_up_seconds, self._plan.step_seconds)
        return (
            state.exposed_at is not None
            and state.evidence.canary.requests >= _WARM_REQUESTS
            and window.since >= state.exposed_at + seconds
            and window.since >= state.step_since + seconds / 2
        )

    def _note_time(self, state: RolloutState, at: float) -> None:
        """Note the source's time; the first time, shift what was noted before to its clock."""
        self._tell_skew(at - self._ports.clock())
        if not self._shifted:
            shift = at - self.now()
            if self._known.get("paused_since") not in {None, state.paused_since}:
                # It was ended before this shift.
                state.paused_seconds += shift
            for name, of in _noted_times(state):
                if (time := getattr(of, name)) and time != self._known.get(name):
                    setattr(of, name, time + shift)
            self._shifted = True
        self._read_at = at, self._ports.monotonic()

    def _tell_skew(self, seconds: float) -> None:
        """Tell once if the source's clock and this machine's differ much."""
        if abs(seconds) < _SKEW_SECONDS or self._has_told_skew:
            return
        self._has_told_skew = True
        direction = "ahead of" if seconds > 0 else "behind"
        self._ports.say(
            f"the source's clock is {abs(seconds):.0f} s {direction} this machine's; the times of"
            " the rollout are by the source's clock"
        )

    def _settled_since(self, state: RolloutState) -> float:
        """Return since when the weights are surely those of the step, by the source's clock.

        Samples may come later than the step was settled.
        """
        settled = state.step_since if state.step == state.intended else -math.inf
        return max(settled, state.uncertain_until)


def _noted_times(state: RolloutState) -> list[tuple[str, object]]:
    """Return the names of the times that a runner notes, each with the object that has it."""
    noted: list[tuple[str, object]] = [(name, state) for name in _TIMES]
    if state.release is not None:
        noted.append(("waiting_since", state.release))
    return noted
