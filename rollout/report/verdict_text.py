"""The verdict in words: a headline, and one sentence with the numbers that decided. Pure."""

from __future__ import annotations

from typing import Final

from ..runner.events import EventKind
from ..runner.reasons import describe_missing_requests
from . import formats
from .plan_summary import PlanSummary
from .timeline import Timeline

#: An e-value is the exponential of the compared logarithm, so its last bits may differ.
_ROUNDING: Final = 1 - 1e-9


def headline(timeline: Timeline) -> str:
    """Return the verdict in a few words."""
    took = formats.duration(timeline.until - timeline.since)
    at = f" at {timeline.judged.name}" if timeline.judged else ""
    words = {
        None: f"Still running{at}, for {took}",
        EventKind.PROMOTED: f"Promoted after {took}",
        EventKind.ROLLED_BACK: f"Rolled back{at} after {took}",
        EventKind.INCONCLUSIVE: f"Inconclusive after {took}, rolled back",
        EventKind.FAILED: f"Failed{at} after {took}",
    }
    return words[timeline.verdict]


def summary(timeline: Timeline, plan: PlanSummary) -> str:
    """Return the reason, the counts and the e-value that decided, in one sentence."""
    old, new = plan.stable, plan.canary
    what, canary, stable = _compared(timeline, plan)
    counts = (
        f"{formats.count(canary)} of {formats.count(timeline.canary.requests, 'request')} to {new}"
        f" {what} ({formats.ratio(canary, timeline.canary.requests)}), {formats.count(stable)} of"
        f" {formats.count(timeline.stable.requests)} to {old}"
        f" ({formats.ratio(stable, timeline.stable.requests)})"
    )
    if not timeline.canary.requests:
        counts = f"no request to {new} was counted, {timeline.stable.requests:,} to {old}"
    numbers = "; ".join(filter(None, (counts, _evidence(timeline))))
    reason = timeline.decision.detail.rstrip(".") if timeline.decision else ""
    sentence = f"{reason}: {numbers}." if reason else f"{numbers}."
    return sentence[:1].upper() + sentence[1:]


def _compared(timeline: Timeline, plan: PlanSummary) -> tuple[str, int, int]:
    """Return what decided, with its counts: failures, or slow requests at the strongest edge."""
    slow = timeline.evidence.harm_slow
    edges = plan.objective.slow_seconds
    if timeline.verdict is EventKind.ROLLED_BACK and len(slow) == len(edges) and slow:
        index = max(range(len(slow)), key=slow.__getitem__)
        counted = min(len(timeline.canary.slow), len(timeline.stable.slow))
        if slow[index] > timeline.evidence.harm_errors and index < counted:
            edge = formats.milliseconds(edges[index] * 1000)
            canary, stable = timeline.canary.slow[index], timeline.stable.slow[index]
            return f"failed or took over {edge}", canary, stable
    return "failed", timeline.canary.failures, timeline.stable.failures


def _evidence(timeline: Timeline) -> str:
    evidence, needed = timeline.evidence, timeline.thresholds
    if needed is None:
        return ""
    if timeline.verdict is EventKind.ROLLED_BACK:
        if evidence.harm >= needed.harm * _ROUNDING:
            return f"evidence of harm: {_with_threshold(evidence.harm, needed.harm)}"
        if evidence.breach >= needed.breach * _ROUNDING:
            return (
                f"evidence of a broken objective: {_with_threshold(evidence.breach, needed.breach)}"
            )
        return ""
    text = f"evidence that it keeps the objective: {_with_threshold(evidence.merit, needed.merit)}"
    windows = [each for each in timeline.events if each.kind is EventKind.WINDOW]
    missing = windows[-1].requests_needed if windows else None
    return f"{text}; a proof {describe_missing_requests(missing, 0.0)}" if missing else text


def _with_threshold(value: float, needed: float) -> str:
    return f"{formats.e_value(value)} ({formats.e_value(needed)} needed)"
