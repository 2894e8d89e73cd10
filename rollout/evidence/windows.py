"""From two readings of counters to the window between them: no request twice, none misplaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from .counts import Arm, Counts, Reading, Series, Window

#: Seconds for which everything waits for an instance that is missing: two scrapes, if they come
#: every 15 s. Longer, and it is taken for gone.
GONE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Baseline(Reading):
    """A reading to compare others with, and when each of its instances was last seen since."""

    seen: Mapping[Series, float]


def difference(
    older: Reading, newer: Reading, *, edges: int, gone_seconds: float = GONE_SECONDS
) -> tuple[Window, Baseline]:
    """Return what was added since ``older``, and the reading to compare the next one with.

    ``older`` is what the call before returned, or the first reading of all; ``edges`` how many
    latency edges are counted. A counter that fell, or whose instance began anew, counts from
    zero. So does a release's first counter at an instance that ``older`` has for the other one:
    proxies show none before its first request. An instance that is new counts from zero if it is
    known to have begun after ``older``; else it may have counted long before and is only compared
    from now on.

    While an instance is missing, the window is empty and the baseline stays: the next window has
    everything since, of all instances over the same time. Were the others to go ahead, failures
    which both releases shared would be counted for one of them in a window in which the other
    had none. Unseen for ``gone_seconds``, which should be several polls, an instance is gone:
    if it comes back, it is a new one.

    Raise ValueError if instances are counted with other edges.
    """
    _check(older, edges)
    _check(newer, edges)
    baseline = _baseline(older)
    if newer.at <= older.at:
        return _empty(older.at, edges), baseline
    seen = dict(baseline.seen) | dict.fromkeys(newer.counts, newer.at)
    missing = older.counts.keys() - newer.counts.keys()
    # Nobody is gone if nobody is seen: then it is the source that sees nothing.
    if any(newer.at - seen[each] < gone_seconds for each in missing) or not newer.counts:
        waiting = {series: seen[series] for series in older.counts}
        return _empty(older.at, edges), replace(baseline, seen=waiting)
    sums = {arm: Counts(0, 0, (0,) * edges) for arm in Arm}
    for series, counts in _added(older, newer):
        sums[series.arm] += counts
    return Window(older.at, newer.at, sums[Arm.STABLE], sums[Arm.CANARY]), _baseline(newer)


def _baseline(reading: Reading) -> Baseline:
    if isinstance(reading, Baseline):
        return reading
    seen = dict.fromkeys(reading.counts, reading.at)
    return Baseline(reading.at, reading.counts, reading.started, seen)


def _empty(at: float, edges: int) -> Window:
    nothing = Counts(0, 0, (0,) * edges)
    return Window(at, at, nothing, nothing)


def _added(older: Reading, newer: Reading) -> Iterator[tuple[Series, Counts]]:
    known = {series.instance for series in older.counts}
    for series, now in newer.counts.items():
        before = older.counts.get(series)
        if before is None:
            if series.instance in known or newer.started.get(series, older.at) > older.at:
                yield series, now
        elif _restarted(series, older, newer):
            yield series, now
        else:
            yield series, _minus(now, before)


def _restarted(series: Series, older: Reading, newer: Reading) -> bool:
    now, before = newer.counts[series], older.counts[series]
    fell = (
        now.requests < before.requests
        or now.failures < before.failures
        or any(new < old for new, old in zip(now.slow, before.slow, strict=True))
    )
    # Counters that have grown past where they stood hide a restart; when it began does not. Both
    # must say so, as clocks of instances are not ours: one that is ahead only seems to be young.
    began, begun = newer.started.get(series), older.started.get(series)
    return fell or (began is not None and begun is not None and began > max(begun, older.at))


def _minus(now: Counts, before: Counts) -> Counts:
    return Counts(
        now.requests - before.requests,
        now.failures - before.failures,
        tuple(new - old for new, old in zip(now.slow, before.slow, strict=True)),
    )


def _check(reading: Reading, edges: int) -> None:
    for series, counts in reading.counts.items():
        if len(counts.slow) != edges:
            raise ValueError(f"{series.arm} {series.instance}: must have {edges} latency edges")
