"""A rollout's timeline, built from its events: the steps, their counts, the decision. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..evidence.counts import Counts
from ..runner.events import VERDICTS, Event, EventKind, EvidenceValues, total


@dataclass(frozen=True, slots=True)
class StepPeriod:
    """The time in which a step was in force, and what was counted in it; Unix times."""

    name: str
    share: float | None
    since: float
    until: float
    stable: Counts
    canary: Counts


@dataclass(frozen=True, slots=True)
class Timeline:
    """``decision`` is the event that ended the rollout, None if it still runs."""

    since: float
    until: float
    decision: Event | None
    periods: tuple[StepPeriod, ...]
    stable: Counts
    canary: Counts
    evidence: EvidenceValues
    thresholds: EvidenceValues | None
    events: tuple[Event, ...]

    @property
    def verdict(self) -> EventKind | None:
        return None if self.decision is None else self.decision.kind

    @property
    def end(self) -> float:
        """Return the end of the last period, which may be after the decision."""
        return max(self.until, *(each.until for each in self.periods), self.since)

    @property
    def judged(self) -> StepPeriod | None:
        """Return the last period with requests: the one that the decision is about."""
        counted = [each for each in self.periods if each.stable.requests or each.canary.requests]
        return next(reversed(counted or list(self.periods)), None)


def build_timeline(events: Sequence[Event]) -> Timeline:
    """Build the timeline; raise ValueError without events."""
    if not events:
        raise ValueError("there are no events to report; give a rollout's event log")
    decision = next((each for each in events if each.kind in VERDICTS), None)
    windows = _windows(events)
    return Timeline(
        since=events[0].time,
        until=decision.time if decision else events[-1].time,
        decision=decision,
        periods=tuple(_periods(events)),
        stable=total(each.stable for each in windows),
        canary=total(each.canary for each in windows),
        evidence=next((e.evidence for e in reversed(events) if e.evidence), EvidenceValues()),
        thresholds=next((e.thresholds for e in events if e.thresholds), None),
        events=tuple(events),
    )


def _periods(events: Sequence[Event]) -> list[StepPeriod]:
    starts = [0]
    for index, event in enumerate(events):
        if event.step is not None and event.step != events[starts[-1]].step and index:
            starts.append(index)
    periods = []
    for start, end in zip(starts, [*starts[1:], len(events)], strict=True):
        first, own = events[start], events[start:end]
        windows = _windows(own)
        until = events[end].time if end < len(events) else own[-1].time
        if until > first.time or windows:
            periods.append(
                StepPeriod(
                    first.step or "before the first step",
                    first.share,
                    first.time,
                    until,
                    total(each.stable for each in windows),
                    total(each.canary for each in windows),
                )
            )
    return periods


def _windows(events: Sequence[Event]) -> list[Event]:
    return [each for each in events if each.kind is EventKind.WINDOW]
