"""The state of a rollout: everything that a runner needs to continue after a crash. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..evidence import Evidence
from ..evidence.counts import Window
from ..evidence.objective import Objective
from ..evidence.windows import WindowBuilder
from ..plan.model import Plan
from .release_state import Phase, ReleaseState

#: The time that the present rate of requests covers.
_RATE_SECONDS: Final = 30.0


class PlanChanged(Exception):
    """The saved state belongs to a different plan or objective; the message says what to do."""


@dataclass(slots=True, kw_only=True)
class RolloutState:
    """The saved state; times in Unix seconds.

    ``step`` is the index of the step in force, -1 before the first one. ``intended`` is the index
    of the step that should be in force. They differ from a decision until the routes are changed.
    A runner that starts in between continues the change. ``verdict`` is saved with the decision,
    before the routes are changed. ``change_since`` is the time of the decision for the step in
    force, and ``step_since`` the time when it came into force; a window in between may contain
    requests of two steps. ``exposed_at`` is when the canary first got requests. All times are by
    the clock of the source, such as Prometheus. ``canary_rate`` is how many requests the canary
    gets per second at this step, 0 as long as that is unknown. ``release`` is None unless the plan
    owns workloads.
    """

    since: float
    step_since: float
    change_since: float
    evidence: Evidence
    windows: WindowBuilder
    step: int = -1
    intended: int = 0
    exposed_at: float | None = None
    data_at: float | None = None
    outage_at: float | None = None
    canary_rate: float = 0.0
    paused: bool = False
    aborted: bool = False
    smoke_tests_passed: bool = False
    stepped_back: bool = False
    #: Until then, a change that failed or was cut off by a kill, or that somebody else made, may
    #: have left the routes apart from the step in force.
    uncertain_until: float = 0.0
    #: Somebody else had changed the routes when they were last read.
    edited: bool = False
    #: The step that was in force before, or may have been while the routes were uncertain.
    other_step: int | None = None
    verdict: str | None = None
    reason: str | None = None
    ended: bool = False
    #: The verdict is in the journal: a runner that finds it there only shows it again.
    end_recorded: bool = False
    #: Why the rollout stays at its step, an empty text if it only waits for the step's time.
    held: str = ""
    #: When the state was saved, 0 if it never was.
    seen_at: float = 0.0
    release: ReleaseState | None = None
    #: How many requests the canary had had when the step came into force.
    requests_before: int = 0
    step_evidence: Evidence | None = None
    #: The index of the step whose own pause was ended.
    resumed_step: int | None = None
    #: How long the rollout was paused, and since when it is: its deadline waits meanwhile.
    paused_seconds: float = 0.0
    paused_since: float | None = None
    #: The token of the last command that was carried out: it may still be stored.
    obeyed: str | None = None
    #: The keys of the events that people were told of.
    told: list[str] = field(default_factory=list)

    @property
    def is_ending(self) -> bool:
        """Return True while the pods and the requests of an ended walk are put in order."""
        return self.release is not None and self.release.phase is not Phase.WALK

    @property
    def known_step(self) -> int:
        """Return the step in force as far as is known.

        ``step`` is -1 before the first one, and while the step of a verdict is put in force anew.
        """
        return self.intended if self.step < 0 else self.step

    def enter_step(self, plan: Plan) -> None:
        """Begin to count for the step that has come into force."""
        self.requests_before, self.canary_rate = self.evidence.canary.requests, 0.0
        objective = plan.steps[self.step].conditions.objective
        self.step_evidence = None if objective is None else Evidence(objective)
        if not self.paused:
            # The plan's own pause ends with its step.
            self._end_pause(self.step_since)

    def begin_pause(self, now: float) -> None:
        """Stop the time of the deadline."""
        if self.paused_since is None:
            self.paused_since = now

    def resume(self, now: float) -> None:
        """End a person's pause, or else the plan's own pause at this step."""
        self._end_pause(now)
        if self.paused:
            self.paused = False
        else:
            self.resumed_step = self.step

    def began(self, now: float) -> float:
        """Return when the rollout began, as if it had never been paused: for its deadline."""
        paused = 0.0 if self.paused_since is None else now - self.paused_since
        return self.since + self.paused_seconds + paused

    def _end_pause(self, now: float) -> None:
        if self.paused_since is not None:
            self.paused_seconds += now - self.paused_since
            self.paused_since = None

    def note_rate(self, window: Window) -> None:
        """Take the canary's rate from a window; of earlier ones, the last half minute counts."""
        seconds = window.until - window.since
        if seconds > 0:
            part = min(1.0, seconds / _RATE_SECONDS) if self.canary_rate else 1.0
            self.canary_rate += part * (window.canary.requests / seconds - self.canary_rate)

    def dump(self, plan: Plan) -> dict[str, Any]:
        """Return the state for JSON; ``load`` restores it without rounding."""
        return {
            "plan": _identify(plan),
            "since": self.since,
            "step_since": self.step_since,
            "change_since": self.change_since,
            "step": self.step,
            "intended": self.intended,
            "evidence": self.evidence.dump(),
            "windows": self.windows.dump(),
            "exposed_at": self.exposed_at,
            "data_at": self.data_at,
            "outage_at": self.outage_at,
            "canary_rate": self.canary_rate,
            "paused": self.paused,
            "aborted": self.aborted,
            "checked": self.smoke_tests_passed,
            "stepped_back": self.stepped_back,
            "uncertain_until": self.uncertain_until,
            "edited": self.edited,
            "other_step": self.other_step,
            "verdict": self.verdict,
            "reason": self.reason,
            "ended": self.ended,
            "end_recorded": self.end_recorded,
            "held": self.held,
            "seen_at": self.seen_at,
            "release": None if self.release is None else self.release.dump(),
            "requests_before": self.requests_before,
            "step_evidence": None if self.step_evidence is None else self.step_evidence.dump(),
            "resumed_step": self.resumed_step,
            "paused_seconds": self.paused_seconds,
            "paused_since": self.paused_since,
            "obeyed": self.obeyed,
            "told": self.told,
        }

    @classmethod
    def load(cls, plan: Plan, saved: Mapping[str, Any]) -> RolloutState:
        """Restore what ``dump`` returned; raise PlanChanged if it belongs to another plan."""
        if saved["plan"] != _identify(plan):
            raise PlanChanged(
                "the plan has changed since this rollout began; restore the plan, or abort the"
                " rollout with the plan it began with, and start again with --again"
            )
        # A state that the release before wrote has none of these.
        release = saved.get("release")
        evidence = _load_evidence(plan.objective, saved["evidence"])
        return cls(
            since=saved["since"],
            step_since=saved["step_since"],
            change_since=saved["change_since"],
            step=saved["step"],
            intended=saved["intended"],
            evidence=evidence,
            windows=WindowBuilder.load(len(plan.objective.slow_seconds), saved["windows"]),
            exposed_at=saved["exposed_at"],
            data_at=saved["data_at"],
            outage_at=saved["outage_at"],
            canary_rate=saved.get("canary_rate", 0.0),
            paused=saved["paused"],
            aborted=saved["aborted"],
            smoke_tests_passed=saved["checked"],
            # The last version had no such fields.
            stepped_back=saved.get("stepped_back", False),
            uncertain_until=saved.get("uncertain_until", 0.0),
            edited=saved.get("edited", False),
            other_step=saved.get("other_step"),
            verdict=saved["verdict"],
            reason=saved["reason"],
            ended=saved["ended"],
            # Absent in states of earlier versions, which recorded the verdict right after the end.
            end_recorded=saved.get("end_recorded", saved["ended"]),
            held=saved.get("held", ""),
            seen_at=saved.get("seen_at", 0.0),
            release=None if release is None else ReleaseState.load(release),
            requests_before=saved.get("requests_before", 0),
            step_evidence=_load_step_evidence(plan, saved),
            resumed_step=saved.get("resumed_step"),
            paused_seconds=saved.get("paused_seconds", 0.0),
            paused_since=saved.get("paused_since"),
            obeyed=saved.get("obeyed"),
            told=saved.get("told", []),
        )


def check_same_images(state: RolloutState, images: Mapping[str, str]) -> None:
    """Raise PlanChanged if a rollout has other images than those that are asked for."""
    known = {} if state.release is None else dict(state.release.images)
    if known == images:
        return
    named = ", ".join(known.values()) or "the images of the manifests"
    if state.ended:
        raise PlanChanged(f"the last rollout was of {named}; start a new one with --again")
    raise PlanChanged(
        f"a rollout of {named} is running; run the same command without --image to continue it,"
        " or abort it, and start the other one with --again"
    )


def _identify(plan: Plan) -> dict[str, Any]:
    """Return what must not change in a plan while its rollout runs."""
    return {
        "name": plan.name,
        "strategy": plan.strategy.value,
        "virtual_service": f"{plan.namespace}/{plan.virtual_service}",
        "stable": plan.stable,
        "canary": plan.canary,
        "steps": [[step.name, step.share] for step in plan.steps],
        # Only of several, so that a state of an earlier version still fits.
        **({"objects": _names_of_objects(plan)} if plan.steps[0].others else {}),
    }


def _names_of_objects(plan: Plan) -> list[list[str]]:
    return [[each.kind, each.name] for each in plan.steps[0].all_routes]


def _load_step_evidence(plan: Plan, saved: Mapping[str, Any]) -> Evidence | None:
    step = saved["intended"] if saved["step"] < 0 else saved["step"]
    objective = plan.steps[step].conditions.objective
    dumped = saved.get("step_evidence")
    if dumped is None or objective is None:
        return None
    return _load_evidence(objective, dumped)


def _load_evidence(objective: Objective, saved: Mapping[str, Any]) -> Evidence:
    try:
        return Evidence.load(objective, saved)
    except ValueError as error:
        raise PlanChanged(
            f"the saved evidence can't be used: {error};"
            " restore the plan's objective, or start again with --again"
        ) from None
