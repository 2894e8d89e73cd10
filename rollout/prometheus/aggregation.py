"""Rows into a reading: a Series for each release and target, its Counts summed over the rest. Pure.

A failed request is slow, however soon it failed. So with N requests, of which F failed, W took at
most the edge and V did both, slow are N - W + V: exact, as buckets bear the status too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..evidence.counts import Arm, CounterSnapshot, Counts, Series
from ..runner.ports import SourceFailed
from .promql import PART, TARGET, Part
from .query import Question
from .response import Answer, Row

#: A bound may be written by another rounding than ours.
_SAME: Final = 1e-9

_Target = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """``unattributed`` is how many requests were counted that are neither release's."""

    reading: CounterSnapshot
    unattributed: int


@dataclass(slots=True)
class _Sums:
    requests: int = 0
    failed: int = 0
    within: dict[float, int] = field(default_factory=dict)
    failed_within: dict[float, int] = field(default_factory=dict)


def fold(answer: Answer, question: Question, stale_seconds: float) -> Folded:
    """Fold an answer; raise SourceFailed if nothing in it is younger than ``stale_seconds``."""
    if answer.at is None or not answer.rows:
        raise SourceFailed(_nothing(question))
    sampled = _by_target(answer.rows, Part.SAMPLED)
    fresh = {target for target, at in sampled.items() if answer.at - at <= stale_seconds}
    if not fresh:
        if not sampled:
            raise SourceFailed(_nothing(question))
        age = answer.at - max(sampled.values())
        raise SourceFailed(
            f"the youngest sample of {question.counter} is {age:.0f} s old, more than"
            f" {stale_seconds:.0f} s: see whether Prometheus still scrapes it"
        )
    _refuse_twice(fresh)
    sums, unattributed = _sums(answer.rows, question, fresh)
    counts = {series: _counts(each, question, series) for series, each in sums.items()}
    if not counts:
        arms = question.arms
        raise SourceFailed(
            f"{question.counter} has no series whose {arms.label} is {arms.stable!r} or"
            f" {arms.canary!r}: check the label and its values"
        )
    born = _by_target(answer.rows, Part.STARTED)
    names = {_instance(target): at for target, at in born.items() if target in fresh}
    started = {series: names[series.instance] for series in counts if series.instance in names}
    return Folded(
        CounterSnapshot(max(sampled[each] for each in fresh), counts, started), unattributed
    )


def _nothing(question: Question) -> str:
    matchers = ", ".join(f"{label}={value!r}" for label, value in question.matchers.items())
    return (
        f"Prometheus has no {question.counter} with {matchers}: see whether it scrapes that, and"
        " whether anybody asked for anything yet"
    )


def _target(row: Row) -> _Target:
    return tuple(row.labels.get(label, "") for label in TARGET)


def _instance(target: _Target) -> str:
    return "/".join(filter(None, target))


def _by_target(rows: Iterable[Row], part: Part) -> dict[_Target, float]:
    return {_target(row): row.value for row in rows if row.labels.get(PART) == part}


def _refuse_twice(targets: Iterable[_Target]) -> None:
    """A pod that two jobs scrape would count twice, and evidence would look twice as strong."""
    jobs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for job, namespace, pod, _ in targets:
        if pod:
            jobs[namespace, pod].add(job)
    for (namespace, pod), named in jobs.items():
        if len(named) > 1:
            raise SourceFailed(
                f"pod {namespace}/{pod} is scraped by the jobs {', '.join(sorted(named))}:"
                " say which one counts (matcher job)"
            )


def _sums(
    rows: Iterable[Row], question: Question, fresh: set[_Target]
) -> tuple[Mapping[Series, _Sums], int]:
    sums: dict[Series, _Sums] = {}
    unattributed = 0
    for row in sorted(rows, key=lambda row: row.labels.get(PART) != Part.REQUESTS):
        part, target = row.labels.get(PART), _target(row)
        if target not in fresh or part in {Part.SAMPLED, Part.STARTED}:
            continue
        number = _whole(row)
        arm: Arm | None = question.arms.arm(row.labels.get(question.arms.label, ""))
        if arm is None:
            unattributed += number if part == Part.REQUESTS else 0
            continue
        series = Series(arm, _instance(target))
        if part == Part.REQUESTS:
            sums[series] = _Sums(number)
            continue
        try:
            found = sums[series]
            if part == Part.FAILED:
                found.failed = number
            else:
                bounds = found.within if part == Part.WITHIN else found.failed_within
                bounds[float(row.labels["le"]) * question.flavour.unit_seconds] = number
        except (LookupError, ValueError) as error:
            raise SourceFailed(
                f"{question.flavour.histogram} of {series.instance} is no whole histogram"
                f" ({dict(row.labels)}): scrape its _count and its _bucket with le"
            ) from error
    return sums, unattributed


def _whole(row: Row) -> int:
    if row.value < 0 or row.value != int(row.value):
        raise SourceFailed(
            f"a counter reads {row.value} at {dict(row.labels)}: it must be a whole number;"
            " ask Prometheus for raw counters, not for recorded rates"
        )
    return int(row.value)


def _counts(sums: _Sums, question: Question, series: Series) -> Counts:
    slow = tuple(_slow(sums, edge, question, series) for edge in question.edges)
    if sums.failed > sums.requests or any(not 0 <= each <= sums.requests for each in slow):
        raise SourceFailed(
            f"the counters of {series.instance} contradict each other: {sums.requests} requests,"
            f" {sums.failed} failed, {slow} slow; see what exports them"
        )
    return Counts(sums.requests, sums.failed, slow)


def _slow(sums: _Sums, edge: float, question: Question, series: Series) -> int:
    for bound, within in sums.within.items():
        if math.isclose(bound, edge, rel_tol=_SAME):
            return sums.requests - within + sums.failed_within.get(bound, 0)
    known = ", ".join(f"{bound:g}" for bound in sorted(sums.within) if math.isfinite(bound))
    raise SourceFailed(
        f"{edge:g} s is no bucket bound of {question.flavour.histogram} at {series.instance}:"
        f" choose latency edges among {known or 'none (there are no buckets)'}"
    )
