"""The increase of counters between two snapshots, which is one window of observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from .counts import Arm, CounterSnapshot, Counts, Series, Window

#: How long, in seconds, all instances wait for a missing one: two scrapes at an interval of 15 s.
#: After that, the missing instance counts as gone.
GONE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class PreviousSnapshot(CounterSnapshot):
    """The snapshot to compare the next one with.

    ``last_seen`` holds, for each series, the Unix time of the last snapshot that contained it.
    """

    last_seen: Mapping[Series, float] = field(default_factory=dict)


def increase(
    older: CounterSnapshot,
    newer: CounterSnapshot,
    *,
    edges: int,
    gone_seconds: float = GONE_SECONDS,
) -> tuple[Window, PreviousSnapshot]:
    """Return the increase since ``older``, and the snapshot to compare the next one with.

    ``older`` is what the previous call returned, or the first snapshot. ``edges`` is the number of
    latency thresholds. Like Prometheus' ``increase()``, this handles counter resets; unlike it,
    this never extrapolates: each request is counted in exactly one window.

    Three cases count from zero: a counter that fell (a counter reset); an instance that restarted;
    and a release's first counter at an instance which ``older`` knows from the other release,
    because a proxy exports no counter before the first request. A new instance also counts from
    zero if it is known to have started after ``older``. If that is not known, it may have counted
    long before, so its first snapshot only serves as the value to compare with.

    While an instance is missing, the window is empty and the older snapshot is kept. The next
    window then covers the same time for all instances. Otherwise, failures of both releases could
    be counted for one of them in a window in which the other had none. An instance that is missing
    for ``gone_seconds`` (choose several polls) is gone. If it returns, it is a new instance.

    Raise ValueError if a series has another number of latency thresholds.
    """
    _check_edges(older, edges)
    _check_edges(newer, edges)
    previous = _as_previous(older)
    if newer.at <= older.at:
        return _empty(older.at, edges), previous
    last_seen = dict(previous.last_seen) | dict.fromkeys(newer.counts, newer.at)
    missing = older.counts.keys() - newer.counts.keys()
    # If no instance at all is seen, none is gone: then the source itself sees nothing.
    if any(newer.at - last_seen[each] < gone_seconds for each in missing) or not newer.counts:
        waiting = {series: last_seen[series] for series in older.counts}
        return _empty(older.at, edges), replace(previous, last_seen=waiting)
    sums = {arm: Counts(0, 0, (0,) * edges) for arm in Arm}
    for series, counts in _increases(older, newer):
        sums[series.arm] += counts
    return Window(older.at, newer.at, sums[Arm.STABLE], sums[Arm.CANARY]), _as_previous(newer)


def _as_previous(snapshot: CounterSnapshot) -> PreviousSnapshot:
    if isinstance(snapshot, PreviousSnapshot):
        return snapshot
    last_seen = dict.fromkeys(snapshot.counts, snapshot.at)
    return PreviousSnapshot(snapshot.at, snapshot.counts, snapshot.started, last_seen=last_seen)


def _empty(at: float, edges: int) -> Window:
    nothing = Counts(0, 0, (0,) * edges)
    return Window(at, at, nothing, nothing)


def _increases(older: CounterSnapshot, newer: CounterSnapshot) -> Iterator[tuple[Series, Counts]]:
    known = {series.instance for series in older.counts}
    for series, now in newer.counts.items():
        before = older.counts.get(series)
        if before is None:
            if series.instance in known or newer.started.get(series, older.at) > older.at:
                yield series, now
        elif _was_reset(series, older, newer):
            yield series, now
        else:
            yield series, _minus(now, before)


def _was_reset(series: Series, older: CounterSnapshot, newer: CounterSnapshot) -> bool:
    now, before = newer.counts[series], older.counts[series]
    fell = (
        now.requests < before.requests
        or now.failures < before.failures
        or any(new < old for new, old in zip(now.slow, before.slow, strict=True))
    )
    # A counter that has already grown past its old value hides a restart. The start time shows it.
    # Both start times must be known: the clocks of instances may differ from ours, and one that is
    # ahead makes its instance look newer than it is.
    started, started_before = newer.started.get(series), older.started.get(series)
    return fell or (
        started is not None
        and started_before is not None
        and started > max(started_before, older.at)
    )


def _minus(now: Counts, before: Counts) -> Counts:
    return Counts(
        now.requests - before.requests,
        now.failures - before.failures,
        tuple(new - old for new, old in zip(now.slow, before.slow, strict=True)),
    )


def _check_edges(snapshot: CounterSnapshot, edges: int) -> None:
    for series, counts in snapshot.counts.items():
        if len(counts.slow) != edges:
            raise ValueError(
                f"{series.arm} {series.instance}: must have {edges} latency thresholds"
            )
