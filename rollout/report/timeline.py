"""What happened, from the events: the verdict, the steps, and what was counted at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..evidence.counts import Counts
from ..runner.events import VERDICTS, Event, EventKind, EvidenceValues, total
from . import formats
from .plan_summary import PlanSummary


@dataclass(frozen=True, slots=True)
class Stage:
    """A step while it was in force, and what the windows of that time counted."""

    name: str
    share: float | None
    since: float
    until: float
    stable: Counts
    canary: Counts


@dataclass(frozen=True, slots=True)
class Story:
    """``decision`` is the event that ended the rollout, None while it goes on."""

    since: float
    until: float
    decision: Event | None
    stages: tuple[Stage, ...]
    stable: Counts
    canary: Counts
    evidence: EvidenceValues
    thresholds: EvidenceValues | None
    events: tuple[Event, ...]

    @property
    def verdict(self) -> EventKind | None:
        return None if self.decision is None else self.decision.kind

    @property
    def last(self) -> Stage | None:
        """Return the last step at which anything was counted: the one that was judged."""
        counted = [each for each in self.stages if each.stable.requests or each.canary.requests]
        return next(reversed(counted or list(self.stages)), None)


def tell(events: Sequence[Event]) -> Story:
    """Tell the story; raise ValueError without events."""
    if not events:
        raise ValueError("there are no events to tell of; give a rollout's log")
    decision = next((each for each in events if each.kind in VERDICTS), None)
    windows = [each for each in events if each.kind is EventKind.WINDOW]
    return Story(
        since=events[0].time,
        until=decision.time if decision else events[-1].time,
        decision=decision,
        stages=tuple(_stages(events)),
        stable=total(each.stable for each in windows),
        canary=total(each.canary for each in windows),
        evidence=next((e.evidence for e in reversed(events) if e.evidence), EvidenceValues()),
        thresholds=next((e.thresholds for e in events if e.thresholds), None),
        events=tuple(events),
    )


def _stages(events: Sequence[Event]) -> list[Stage]:
    starts = [0]
    for place, event in enumerate(events):
        if event.step is not None and event.step != events[starts[-1]].step and place:
            starts.append(place)
    stages = []
    for start, end in zip(starts, [*starts[1:], len(events)], strict=True):
        first, own = events[start], events[start:end]
        windows = [each for each in own if each.kind is EventKind.WINDOW]
        until = events[end].time if end < len(events) else own[-1].time
        if until > first.time or windows:
            name = first.step or "before the first step"
            stable, canary = (total(getattr(each, arm) for each in windows) for arm in _ARMS)
            stages.append(Stage(name, first.share, first.time, until, stable, canary))
    return stages


_ARMS = ("stable", "canary")


def headline(story: Story) -> str:
    """Return the verdict in a few words."""
    took = formats.duration(story.until - story.since)
    at = f" at {story.last.name}" if story.last else ""
    words = {
        None: f"Still running{at}, for {took}",
        EventKind.PROMOTED: f"Promoted after {took}",
        EventKind.ROLLED_BACK: f"Rolled back{at} after {took}",
        EventKind.INCONCLUSIVE: f"Inconclusive after {took}, taken back",
        EventKind.FAILED: f"Failed{at} after {took}",
    }
    return words[story.verdict]


def sentence(story: Story, about: PlanSummary) -> str:
    """Return the numbers that decided, in one sentence."""
    old, new = about.stable, about.canary
    what, mine, theirs = _measure(story, about)
    compared = (
        f"{formats.count(mine)} of {formats.count(story.canary.requests, 'request')} to {new}"
        f" {what} ({formats.ratio(mine, story.canary.requests)}), {formats.count(theirs)} of"
        f" {formats.count(story.stable.requests)} to {old}"
        f" ({formats.ratio(theirs, story.stable.requests)})"
    )
    if not story.canary.requests:
        compared = f"no request to {new} was counted, {story.stable.requests:,} to {old}"
    numbers = "; ".join(filter(None, (compared, _proof(story))))
    detail = _why(story.decision) if story.decision else ""
    said = f"{detail}: {numbers}." if detail else f"{numbers}."
    return said[:1].upper() + said[1:]


def _why(decision: Event) -> str:
    """Return what no number says."""
    return decision.detail.rstrip(".") or _REASONS.get(decision.reason, "")


_REASONS: Final = {"aborted": "Somebody ordered it", "deadline": "The plan's time was up"}
#: An e-value is the exponential of what was compared; the last bits may differ.
_ROUNDING: Final = 1 - 1e-9


def _measure(story: Story, about: PlanSummary) -> tuple[str, int, int]:
    """Return what decided: failures, or slow answers beyond the edge that told most."""
    slow = story.evidence.harm_slow
    edges = about.objective.slow_seconds
    if story.verdict is EventKind.ROLLED_BACK and len(slow) == len(edges) and slow:
        place = max(range(len(slow)), key=slow.__getitem__)
        counted = min(len(story.canary.slow), len(story.stable.slow))
        if slow[place] > story.evidence.harm_errors and place < counted:
            edge = formats.milliseconds(edges[place] * 1000)
            return f"failed or took over {edge}", story.canary.slow[place], story.stable.slow[place]
    return "failed", story.canary.failures, story.stable.failures


def _proof(story: Story) -> str:
    evidence, need = story.evidence, story.thresholds
    if need is None:
        return ""
    if story.verdict is EventKind.ROLLED_BACK:
        if evidence.harm >= need.harm * _ROUNDING:
            return f"evidence of harm: {_against(evidence.harm, need.harm)}"
        if evidence.breach >= need.breach * _ROUNDING:
            return f"evidence of a broken objective: {_against(evidence.breach, need.breach)}"
        return ""
    return f"evidence that it keeps the objective: {_against(evidence.merit, need.merit)}"


def _against(value: float, need: float) -> str:
    return f"{formats.evidence(value)}, {formats.evidence(need)} being enough"
