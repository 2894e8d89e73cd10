"""Aggregate a query's result into a reading: one Counts for each release and scrape target. Pure.

A failed request counts as slow, even if it failed fast. Of N requests, F failed, W took at most
the edge, and V of those W failed. Then N - W + V are slow. This is exact, because the buckets have
the status label too. Of a native histogram, W are those up to the next boundary.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ..evidence.counts import Arm, CounterSnapshot, Counts, Series
from ..evidence.objective import Objective
from ..runner.ports import SourceFailed
from .promql import PART, TARGET_LABELS, Part
from .query import Query
from .response import Response, VectorSample

#: An exporter may round a bucket bound differently than we do.
_RELATIVE_TOLERANCE: Final = 1e-9

_CLASSIC: Final = (Part.REQUESTS, Part.FAILED, Part.WITHIN, Part.FAILED_WITHIN)

_Target = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``unattributed`` is the number of requests with the label value of neither release."""

    reading: CounterSnapshot
    unattributed: int


@dataclass(slots=True)
class _Sums:
    requests: int = 0
    failed: int = 0
    within: dict[float, int] = field(default_factory=dict)
    failed_within: dict[float, int] = field(default_factory=dict)


def aggregate(response: Response, query: Query, stale_seconds: float) -> Aggregate:
    """Aggregate a response; raise SourceFailed if no sample is younger than ``stale_seconds``."""
    if response.at is None or not response.vector:
        raise SourceFailed(_no_series(query))
    sampled = _by_target(response.vector, Part.SAMPLED)
    fresh = {target for target, at in sampled.items() if response.at - at <= stale_seconds}
    if not fresh:
        if not sampled:
            raise SourceFailed(_no_series(query))
        age = response.at - max(sampled.values())
        raise SourceFailed(
            f"the youngest sample of {query.counter} is {age:.0f} s old, more than"
            f" {stale_seconds:.0f} s: see whether Prometheus still scrapes it"
        )
    _refuse_double_scrapes(fresh)
    sums = {
        **_native_sums(response.vector, query, fresh),
        **_sums(response.vector, query, fresh),  # exact: of a target with both, these count
    }
    counts = {series: _counts(each, query, series) for series, each in sums.items()}
    if not any(series.arm is not Arm.NEITHER for series in counts):
        label = query.release_label
        raise SourceFailed(
            f"{query.counter} has no series whose {label.name} is {label.stable!r} or"
            f" {label.canary!r}: check the label and its values"
        )
    starts = _by_target(response.vector, Part.STARTED)
    start_times = {_instance(target): at for target, at in starts.items() if target in fresh}
    started = {
        series: start_times[series.instance] for series in counts if series.instance in start_times
    }
    times = {_instance(target): sampled[target] for target in fresh}
    return Aggregate(
        CounterSnapshot(
            response.at,
            counts,
            started,
            {series: times[series.instance] for series in counts},
            query.metrics.paired,
        ),
        sum(each.requests for series, each in counts.items() if series.arm is Arm.NEITHER),
    )


def _no_series(query: Query) -> str:
    matchers = ", ".join(f"{label}={value!r}" for label, value in query.matchers.items())
    selected = f"{query.counter} with {matchers}" if matchers else query.counter
    return (
        f"Prometheus has no {selected}: see whether it scrapes that, and whether there were any"
        " requests yet"
    )


def _target(sample: VectorSample) -> _Target:
    return tuple(sample.labels.get(label, "") for label in TARGET_LABELS)


def _instance(target: _Target) -> str:
    return "/".join(filter(None, target))


def _by_target(vector: Iterable[VectorSample], part: Part) -> dict[_Target, float]:
    return {_target(each): each.value for each in vector if each.labels.get(PART) == part}


def _refuse_double_scrapes(targets: Iterable[_Target]) -> None:
    """Raise SourceFailed if two jobs scrape one pod: its requests would count twice."""
    jobs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for job, namespace, pod, _ in targets:
        if pod:
            jobs[namespace, pod].add(job)
    for (namespace, pod), names in jobs.items():
        if len(names) > 1:
            raise SourceFailed(
                f"pod {namespace}/{pod} is scraped by the jobs {', '.join(sorted(names))}:"
                " let only one job scrape it"
            )


def _sums(vector: Iterable[VectorSample], query: Query, fresh: set[_Target]) -> dict[Series, _Sums]:
    sums: dict[Series, _Sums] = {}
    # REQUESTS first: they create the entries that the other parts complete.
    for sample in sorted(vector, key=lambda each: each.labels.get(PART) != Part.REQUESTS):
        part, target = sample.labels.get(PART), _target(sample)
        if target not in fresh or part not in _CLASSIC:
            continue
        number = _whole(sample)
        series = _series(sample, query)
        if part == Part.REQUESTS:
            # Neither release has several labels.
            sums.setdefault(series, _Sums(0)).requests += number
            continue
        try:
            found = sums[series]
            if series.arm is Arm.NEITHER:
                found.failed += number if part == Part.FAILED else 0
            elif part == Part.FAILED:
                found.failed = number
            else:
                bounds = found.within if part == Part.WITHIN else found.failed_within
                bounds[float(sample.labels["le"]) * query.metrics.unit_seconds] = number
        except (LookupError, ValueError) as error:
            raise SourceFailed(
                f"{query.metrics.histogram} of {series.instance} is an incomplete histogram"
                f" ({dict(sample.labels)}): scrape its _count and its _bucket with le"
            ) from error
    return sums


def _native_sums(
    vector: Iterable[VectorSample], query: Query, fresh: set[_Target]
) -> dict[Series, _Sums]:
    sums: dict[Series, _Sums] = {}
    for sample in vector:
        histogram = sample.histogram
        if histogram is None or _target(sample) not in fresh:
            continue
        number = _whole(sample)
        found = sums.setdefault(_series(sample, query), _Sums())
        has_failed = query.metrics.has_failed(sample.labels)
        found.requests += number
        found.failed += number * has_failed
        bounds = [edge / query.metrics.unit_seconds for edge in query.edges]
        for edge, within in zip(query.edges, map(int, histogram.within(bounds)), strict=True):
            found.within[edge] = found.within.get(edge, 0) + within
            failed_within = found.failed_within.get(edge, 0)
            found.failed_within[edge] = failed_within + within * has_failed
    return sums


def _series(sample: VectorSample, query: Query) -> Series:
    arm = query.release_label.arm_of(sample.labels.get(query.release_label.name, ""))
    return Series(arm, _instance(_target(sample)))


def _whole(sample: VectorSample) -> int:
    if sample.value < 0 or sample.value != int(sample.value):
        raise SourceFailed(
            f"a counter reads {sample.value} at {dict(sample.labels)}: it must be a whole number;"
            " query raw counters, not recorded rates"
        )
    return int(sample.value)


def _counts(sums: _Sums, query: Query, series: Series) -> Counts:
    if series.arm is Arm.NEITHER:
        return Counts(sums.requests, sums.failed, (sums.failed,) * len(query.edges))
    slow = tuple(_slow(sums, edge, query, series) for edge in query.edges)
    if sums.failed > sums.requests or any(not 0 <= each <= sums.requests for each in slow):
        raise SourceFailed(
            f"the counters of {series.instance} contradict each other: {sums.requests} requests,"
            f" {sums.failed} failed, {slow} slow; see what exports them"
        )
    return Counts(sums.requests, sums.failed, slow)


def _slow(sums: _Sums, edge: float, query: Query, series: Series) -> int:
    for bound, within in sums.within.items():
        if math.isclose(bound, edge, rel_tol=_RELATIVE_TOLERANCE):
            return sums.requests - within + sums.failed_within.get(bound, 0)
    if query.edges == Objective().slow_seconds and sums.within:
        # Nobody chose this threshold: take the next one that the histogram has.
        bound = min((each for each in sums.within if each > edge), default=max(sums.within))
        return sums.requests - sums.within[bound] + sums.failed_within.get(bound, 0)
    known = ", ".join(f"{bound:g}" for bound in sorted(sums.within) if math.isfinite(bound))
    raise SourceFailed(
        f"{edge:g} s is no bucket bound of {query.metrics.histogram} at {series.instance}:"
        f" choose latency edges among {known or 'none (there are no buckets)'}"
    )
