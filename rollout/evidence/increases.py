"""The increase of each series between two of its own samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .counts import CounterSnapshot, Counts, Series
from .twins import Twins


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one series; ``at`` and ``started`` are Unix times in seconds.

    ``seen_at`` is the time of the snapshot that had it first.
    """

    at: float
    counts: Counts
    started: float | None
    seen_at: float


@dataclass(frozen=True, slots=True)
class Increase:
    """What one series counted from ``since`` to ``until``."""

    series: Series
    since: float
    until: float
    counts: Counts


class SampleLog:
    """Remembers the last sample of each series, and how often series are sampled.

    Like Prometheus' ``increase()``, it handles counter resets; unlike it, it never extrapolates:
    each request is counted once. An older sample than the last one is ignored: it comes from
    another replica of Prometheus, or out of order, and is no restart.

    Three cases count from zero: a counter that fell (a counter reset); an instance that restarted;
    and a release's first counter at an instance that is known from another release, because a proxy
    exports no counter before the first request. A new instance also counts from zero if it is known
    to have started after the last snapshot. If that is not known, it may have counted long before,
    so its first sample only serves as the value to compare with.
    """

    def __init__(self) -> None:
        self.samples: dict[Series, Sample] = {}
        #: The time between two samples of a series: the greatest of the last ones, by instance.
        self.intervals: dict[str, float] = {}
        #: The time of the last snapshot.
        self.at: float | None = None
        self.twins = Twins()

    @property
    def interval(self) -> float | None:
        """Return the greatest time between two samples of an instance, None before two."""
        return max(self.intervals.values(), default=None)

    @property
    def instances(self) -> int:
        """Return the number of instances, twins counted once."""
        known = {series.instance for series in self.samples}
        return len(known) - len(self.twins.repeated(self.samples))

    def add(self, snapshot: CounterSnapshot) -> Iterator[Increase]:
        """Yield the increase of each series that has a new sample, of twins only one's."""
        self.twins.add(snapshot)
        repeated = self.twins.repeated((*self.samples, *snapshot.counts))
        for increase in self._increases(snapshot):
            if increase.series.instance not in repeated:
                yield increase

    def _increases(self, snapshot: CounterSnapshot) -> Iterator[Increase]:
        before = self.at
        known: dict[str, float] = {}
        for series, sample in self.samples.items():
            known[series.instance] = max(sample.at, known.get(series.instance, sample.at))
        for series, counts in snapshot.counts.items():
            at = snapshot.sampled.get(series, snapshot.at)
            started = snapshot.started.get(series)
            last = self.samples.get(series)
            if last is not None and at <= last.at:
                continue
            self.samples[series] = Sample(at, counts, started, snapshot.at)
            if last is not None:
                self.intervals[series.instance] = at - last.at
                if _was_reset(counts, started, last):
                    yield Increase(series, last.at, at, counts)
                else:
                    yield Increase(series, last.at, at, _minus(counts, last.counts))
            elif series.instance in known and at > known[series.instance]:
                yield Increase(series, known[series.instance], at, counts)
            elif before is not None and started is not None and started > before:
                yield Increase(series, started, at, counts)
        self.at = snapshot.at if before is None else max(before, snapshot.at)

    def forget(self, series: Series) -> None:
        """Forget a series that is gone. If it returns, it is a new one."""
        del self.samples[series]
        if not any(each.instance == series.instance for each in self.samples):
            self.intervals.pop(series.instance, None)
            self.twins.forget(series.instance)


def _was_reset(counts: Counts, started: float | None, last: Sample) -> bool:
    before = last.counts
    known = started is not None and last.started is not None
    fell = (
        counts.requests < before.requests
        or counts.failures < before.failures
        # A native histogram that gets fewer buckets counts some slow requests as quick.
        or (not known and any(new < old for new, old in zip(counts.slow, before.slow, strict=True)))
    )
    # A counter that has already grown past its old value hides a restart. The start time shows it.
    # Both start times must be known: the clocks of instances may differ from ours, and one that is
    # ahead makes its instance look newer than it is.
    return fell or (
        started is not None and last.started is not None and started > max(last.started, last.at)
    )


def _minus(now: Counts, before: Counts) -> Counts:
    requests = now.requests - before.requests
    return Counts(
        requests,
        now.failures - before.failures,
        # Where the buckets change, the requests of before must not count again.
        tuple(
            min(max(0, new - old), requests) for new, old in zip(now.slow, before.slow, strict=True)
        ),
    )
