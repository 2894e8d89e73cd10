"""The report's four charts: split, errors, latency, evidence; all over the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from ..evidence.counts import Counts
from ..runner.events import EvidenceValues
from . import formats
from .binning import gather, of
from .plan_summary import PlanSummary
from .samples import Sample
from .scales import ceiling, decades, linear_ticks
from .svg_chart import Format, Frame, Hold, Point, Sheet, values
from .timeline import Story

#: Evidence for the contrary shrinks without end; below this it is drawn at the floor.
_LEAST_EVIDENCE = 0.01
#: How far above the greatest threshold is still shown.
_BEYOND = 30.0
#: Fewer requests than this make a ratio that jumps about.
_ENOUGH = 30


def build_frame(story: Story) -> Frame:
    """Build what the charts share."""
    steps = tuple((stage.since, stage.name) for stage in story.stages)
    decided = story.decision.time if story.decision else None
    verdict = story.verdict.value if story.verdict else "running"
    until = max(story.until, *(stage.until for stage in story.stages), story.since)
    return Frame(story.since, until, steps, decided, verdict)


def _seconds(frame: Frame, form: Format) -> float:
    return max(1.0, (frame.until - frame.since) / form.spans)


def draw_split(frame: Frame, form: Format, story: Story, samples: Sequence[Sample]) -> str:
    """Draw the canary's share, as desired and as it came."""
    observed: list[Hold] = []
    for span in gather(samples, _seconds(frame, form), _ENOUGH * 4, _both):
        every, new = span.counts("stable", "canary").requests, span.counts("canary").requests
        observed.append((span.since, span.until, new / every if every else None))
    desired: list[Hold] = [(each.since, each.until, each.share) for each in story.stages]
    known = [value for _, _, value in (*observed, *desired) if value is not None]
    top = min(1.0, ceiling(max(known, default=0.1) * 1.05))
    sheet = Sheet(
        frame, form, values(form, 0, top), "Share of the requests that the canary got, over time"
    )
    sheet.grid([(tick, formats.percent(tick)) for tick in linear_ticks(top)])
    sheet.name_steps()
    sheet.stairs(observed, "canary", _ended("observed", observed, formats.percent, form))
    sheet.stairs(desired, "desired", _ended("desired", desired, formats.percent, form))
    return sheet.markup()


def draw_errors(
    frame: Frame, form: Format, story: Story, samples: Sequence[Sample], about: PlanSummary
) -> str:
    """Draw each release's share of failed requests, and the objective."""
    curves: list[tuple[str, Counts, list[Hold]]] = []
    for name, counts in (("stable", story.stable), ("canary", story.canary)):
        spans = gather(samples, _seconds(frame, form), _ENOUGH, of(name))
        holds: list[Hold] = [(s.since, s.until, _error_ratio(s.counts(name))) for s in spans]
        curves.append((name, counts, holds))
    limit = about.objective.error_ratio
    top = ceiling(max([limit * 2, *(v or 0 for _, _, holds in curves for _, _, v in holds)]))
    sheet = Sheet(
        frame, form, values(form, 0, min(1.0, top)), "Share of failed requests by release"
    )
    sheet.grid([(tick, formats.percent(tick)) for tick in linear_ticks(min(1.0, top))])
    sheet.level(limit, "objective", f"objective {formats.percent(limit)}")
    for name, counts, holds in curves:
        whole = formats.ratio(counts.failures, counts.requests)
        sheet.stairs(holds, name, f"{name} {whole} in all" if form.wide else f"{name} {whole}")
    return sheet.markup()


def draw_latency(frame: Frame, form: Format, samples: Sequence[Sample]) -> str:
    """Draw each release's median and 99th percentile, on a logarithmic scale."""
    curves: list[tuple[str, str, list[Point]]] = []
    for arm in ("stable", "canary"):
        spans = gather(samples, _seconds(frame, form), _ENOUGH, of(arm))
        for name, level in ((arm, "p99"), (f"{arm} thin", "p50")):
            points: list[Point] = [(s.middle, s.latency(arm, f"{level}_ms")) for s in spans]
            curves.append((name, level, points))
    known = [v for _, _, points in curves for _, v in points if v is not None and v > 0]
    low, high = _nice(min(known, default=1.0), max(known, default=10.0))
    scale = values(form, low, high, log=True)
    sheet = Sheet(frame, form, scale, "Latency by release: median and 99th percentile")
    sheet.grid([(tick, formats.milliseconds(tick)) for tick in _latencies(low, high)])
    for name, level, points in curves:
        short = f"{name.partition(' ')[0]} {level}"
        holds: list[Hold] = [(at, at, value) for at, value in points]
        sheet.curve(points, name, _ended(short, holds, formats.milliseconds, form))
    return sheet.markup()


def _both(sample: Sample) -> int:
    return sample.stable.counts.requests + sample.canary.counts.requests


def _error_ratio(counts: Counts) -> float | None:
    return counts.failures / counts.requests if counts.requests else None


def _latencies(low: float, high: float) -> list[float]:
    ticks = decades(low, high, 5)
    if len(ticks) > 2:
        return ticks
    return sorted(
        t * m for t in decades(low / 10, high, 9) for m in (1, 2, 5) if low <= t * m <= high
    )


def _nice(low: float, high: float) -> tuple[float, float]:
    floor = ceiling(low) / (1 if ceiling(low) == low else 2.5)
    return floor, max(ceiling(high), floor * 10)


def draw_evidence(frame: Frame, form: Format, story: Story) -> str:
    """Draw the evidence of harm and of merit, and what each must reach."""
    seen = [(e.until or e.time, e.evidence) for e in story.events if e.evidence is not None]
    need = story.thresholds
    kinds = [
        kind
        for kind in ("harm", "merit", "breach", "mismatch")
        if kind in {"harm", "merit"} or _mattered(kind, [v for _, v in seen], need)
    ]
    needed = [getattr(need, kind) for kind in kinds] if need else []
    everything = [*needed, *(getattr(v, kind) for _, v in seen for kind in kinds)]
    # Far above what was needed there is nothing to see; it would press the rest together.
    high = min(max([10.0, *everything]) * 2, max([10.0, *needed]) * _BEYOND)
    low = max(min([1.0, *everything]) / 2, _LEAST_EVIDENCE)
    scale = values(form, low, high, log=True)
    sheet = Sheet(frame, form, scale, "Evidence over time, with what it must reach")
    sheet.grid(
        [(tick, f"{tick:,.0f}" if tick >= 1 else f"{tick:g}") for tick in decades(low, high)]
    )
    if need is not None:
        _draw_needs(sheet, need, kinds)
    for kind in kinds:
        points: list[Point] = [(frame.since, 1.0), *((at, getattr(v, kind)) for at, v in seen)]
        sheet.curve(points, kind, f"{kind} {_at_end(points[-1][1] or 0, form)}")
    decided = {"rolled_back": "harm", "promoted": "merit"}.get(frame.verdict)
    if decided and frame.decided is not None and seen:
        sheet.dot(frame.decided, getattr(seen[-1][1], decided), decided)
    return sheet.markup()


def _at_end(value: float, form: Format) -> str:
    if value >= formats.MANY:
        return "> 1,000,000" if form.wide else "> 1 mio."
    return formats.evidence(value).replace("less than", "<")


def _draw_needs(sheet: Sheet, need: EvidenceValues, kinds: Sequence[str]) -> None:
    acts = {
        "harm": "rolls back",
        "merit": "may promote",
        "breach": "rolls back",
        "mismatch": "holds",
    }
    levels = sorted(((getattr(need, kind), kind) for kind in kinds), reverse=True)
    beneath = {low[1] for high, low in pairwise(levels) if sheet.y(low[0]) - sheet.y(high[0]) < 18}
    for value, kind in levels:
        label = f"{kind} {acts[kind]} at {formats.evidence(value)}"
        sheet.level(value, kind, label, above=kind not in beneath)


def _mattered(kind: str, seen: Sequence[EvidenceValues], need: EvidenceValues | None) -> bool:
    """Tell whether a rarer kind came near to what it must reach: half of it, by the logarithm."""
    most = max((getattr(each, kind) for each in seen), default=1.0)
    return need is not None and most > 1 and most * most >= getattr(need, kind)


def _ended(name: str, holds: Sequence[Hold], render: Callable[[float], str], form: Format) -> str:
    """Name a line by its last value, where there is room for both."""
    last = next((value for _, _, value in reversed(holds) if value is not None), None)
    return name if last is None or not form.wide else f"{name} {render(last)}"
