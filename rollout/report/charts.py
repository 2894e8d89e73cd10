"""The report's four charts over one time axis: evidence, traffic split, errors, latency. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from ..evidence.counts import Counts
from ..runner.events import EventKind, EvidenceValues
from . import formats
from .binning import ArmName, Bin, bin_samples
from .plan_summary import PlanSummary
from .samples import Sample
from .scales import linear_ticks, log_ticks, round_up
from .svg_chart import Interval, Layout, Point, SvgChart
from .timeline import Timeline

_ARMS: Final[tuple[ArmName, ...]] = ("stable", "canary")
#: An e-value may shrink towards 0. Below this it is drawn at the border.
_LEAST_E_VALUE: Final = 0.01
#: An e-value above the highest threshold times this is drawn at the border.
_ABOVE_THRESHOLD: Final = 30.0
#: The ratios of bins with fewer requests scatter too much.
_MIN_REQUESTS: Final = 30
#: What happens when an e-value reaches its threshold.
_ACTIONS: Final = {
    "harm": "rolls back",
    "merit": "may promote",
    "breach": "rolls back",
    "mismatch": "holds",
}


def draw_split(timeline: Timeline, layout: Layout, samples: Sequence[Sample]) -> str:
    """Draw the canary's share of the requests, desired and observed."""
    bins = _bins(samples, timeline, layout, _MIN_REQUESTS * 4, _ARMS)
    observed: list[Interval] = [(each.since, each.until, _canary_share(each)) for each in bins]
    desired: list[Interval] = [(each.since, each.until, each.share) for each in timeline.periods]
    known = [value for _, _, value in (*observed, *desired) if value is not None]
    top = min(1.0, round_up(max(known, default=0.1) * 1.05))
    chart = SvgChart(
        timeline, layout, "Share of the requests that the canary got, over time", high=top
    )
    chart.add_grid([(tick, formats.percent(tick)) for tick in linear_ticks(top)])
    chart.add_step_names()
    for name, line, intervals in (
        ("observed", "canary", observed),
        ("desired", "desired", desired),
    ):
        last = [value for _, _, value in intervals]
        chart.add_steps(intervals, line, _with_last(name, last, formats.percent, layout))
    return chart.render()


def draw_errors(
    timeline: Timeline,
    layout: Layout,
    samples: Sequence[Sample],
    plan: PlanSummary,
) -> str:
    """Draw each release's error ratio, and the objective."""
    lines: list[tuple[ArmName, Counts, list[Interval]]] = []
    for arm, counts in zip(_ARMS, (timeline.stable, timeline.canary), strict=True):
        bins = _bins(samples, timeline, layout, _MIN_REQUESTS, (arm,))
        ratios = [(each.since, each.until, _error_ratio(each.counts(arm))) for each in bins]
        lines.append((arm, counts, ratios))
    limit = plan.objective.error_ratio
    top = max([limit * 2, *(ratio or 0 for _, _, ratios in lines for _, _, ratio in ratios)])
    top = min(1.0, round_up(top))
    chart = SvgChart(timeline, layout, "Share of failed requests by release", high=top)
    chart.add_grid([(tick, formats.percent(tick)) for tick in linear_ticks(top)])
    chart.add_threshold(limit, "objective", f"objective {formats.percent(limit)}")
    for arm, counts, ratios in lines:
        total = formats.ratio(counts.failures, counts.requests)
        chart.add_steps(ratios, arm, f"{arm} {total} in all" if layout.wide else f"{arm} {total}")
    return chart.render()


def draw_latency(timeline: Timeline, layout: Layout, samples: Sequence[Sample]) -> str:
    """Draw each release's median and 99th percentile, on a logarithmic scale."""
    lines: list[tuple[str, str, list[Point]]] = []
    for arm in _ARMS:
        bins = _bins(samples, timeline, layout, _MIN_REQUESTS, (arm,))
        lines += [
            (arm, f"{arm} p99", [(each.middle, each.latency(arm, "p99_ms")) for each in bins]),
            (
                f"{arm} thin",
                f"{arm} p50",
                [(each.middle, each.latency(arm, "p50_ms")) for each in bins],
            ),
        ]
    known = [value for _, _, points in lines for _, value in points if value]
    low = 10.0 ** math.floor(math.log10(min(known, default=1.0)))
    high = max(round_up(max(known, default=10.0)), low * 10)
    label = "Latency by release: median and 99th percentile"
    chart = SvgChart(timeline, layout, label, low=low, high=high, log=True)
    chart.add_grid([(tick, formats.milliseconds(tick)) for tick in log_ticks(low, high)])
    for name, title, points in lines:
        last = [value for _, value in points]
        chart.add_line(points, name, _with_last(title, last, formats.milliseconds, layout))
    return chart.render()


def draw_evidence(timeline: Timeline, layout: Layout) -> str:
    """Draw the e-values of harm and merit, of breach and mismatch if relevant, and thresholds."""
    values = [(e.until or e.time, e.evidence) for e in timeline.events if e.evidence is not None]
    thresholds = timeline.thresholds
    kinds = [
        kind
        for kind in _ACTIONS
        if kind in {"harm", "merit"} or _is_relevant(kind, [v for _, v in values], thresholds)
    ]
    needed = [getattr(thresholds, kind) for kind in kinds] if thresholds else []
    all_values = [*needed, *(getattr(value, kind) for _, value in values for kind in kinds)]
    high = min(max([10.0, *all_values]) * 2, max([10.0, *needed]) * _ABOVE_THRESHOLD)
    low = max(min([1.0, *all_values]) / 2, _LEAST_E_VALUE)
    label = "E-values of the evidence over time, with their thresholds"
    chart = SvgChart(timeline, layout, label, low=low, high=high, log=True)
    chart.add_grid(
        [(tick, f"{tick:,.0f}" if tick >= 1 else f"{tick:g}") for tick in log_ticks(low, high)]
    )
    if thresholds is not None:
        _add_thresholds(chart, thresholds, kinds)
    for kind in kinds:
        points = [(timeline.since, 1.0), *((at, getattr(value, kind)) for at, value in values)]
        chart.add_line(points, kind, f"{kind} {formats.e_value(points[-1][1])}")
    decision = timeline.decision
    decided = {EventKind.ROLLED_BACK: "harm", EventKind.PROMOTED: "merit"}
    if decision is not None and decision.kind in decided and values:
        kind = decided[decision.kind]
        chart.add_dot(decision.time, getattr(values[-1][1], kind), kind)
    return chart.render()


def _bins(
    samples: Sequence[Sample],
    timeline: Timeline,
    layout: Layout,
    min_requests: int,
    arms: Sequence[ArmName],
) -> list[Bin]:
    seconds = max(1.0, (timeline.end - timeline.since) / layout.bins)
    return bin_samples(samples, seconds=seconds, min_requests=min_requests, arms=arms)


def _canary_share(group: Bin) -> float | None:
    both = group.counts(*_ARMS).requests
    return group.counts("canary").requests / both if both else None


def _error_ratio(counts: Counts) -> float | None:
    return counts.failures / counts.requests if counts.requests else None


def _add_thresholds(chart: SvgChart, thresholds: EvidenceValues, kinds: Sequence[str]) -> None:
    levels = sorted(((getattr(thresholds, kind), kind) for kind in kinds), reverse=True)
    # A label goes below its line if the next higher line is too near.
    below = {low[1] for high, low in pairwise(levels) if chart.y(low[0]) - chart.y(high[0]) < 18}
    for value, kind in levels:
        label = f"{kind} {_ACTIONS[kind]} at {formats.e_value(value)}"
        chart.add_threshold(value, kind, label, above=kind not in below)


def _is_relevant(
    kind: str, values: Sequence[EvidenceValues], thresholds: EvidenceValues | None
) -> bool:
    """Return True if an e-value came at least halfway to its threshold, on a logarithmic scale."""
    most = max((getattr(each, kind) for each in values), default=1.0)
    return thresholds is not None and most > 1 and most * most >= getattr(thresholds, kind)


def _with_last(
    name: str, values: Sequence[float | None], render: Callable[[float], str], layout: Layout
) -> str:
    """Return the name of a line, with its last value if the layout has room for it."""
    last = next((value for value in reversed(values) if value is not None), None)
    return name if last is None or not layout.wide else f"{name} {render(last)}"
