"""Windows of observations, from snapshots of counters that were sampled at different times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from .counts import Arm, CounterSnapshot, Counts, Series, Window
from .increases import Increase, Sample, SampleLog

#: A series without a new sample for so many of the usual times between two is gone. A pod may
#: return: what it counted meanwhile shows that it was not silent.
_GONE_INTERVALS: Final = 2.5
_GONE_INTERVALS_OF_PODS: Final = 6.0
#: A window of pods waits for one of them no longer than this; what it counts comes later.
_WAIT_INTERVALS: Final = 1.6
#: The time between two samples, in seconds, of which no series is expected to have less.
_LEAST_INTERVAL: Final = 5.0
#: The time that is assumed before two samples of a series have been seen.
_UNKNOWN_INTERVAL: Final = 15.0
#: Hits of the old release just before or after a window are no outage up to these.
_USUAL_TIMES: Final = 3.0
_USUAL_HITS: Final = 3


@dataclass(slots=True)
class _Part:
    """Counts by arm, between two times; the times are infinite before the first increase."""

    since: float
    until: float
    counts: dict[Arm, Counts]

    def add(self, increase: Increase) -> None:
        self.since = min(self.since, increase.since)
        self.until = max(self.until, increase.until)
        arm = increase.series.arm
        counts = increase.counts
        self.counts[arm] = self.counts[arm] + counts if arm in self.counts else counts

    def old(self, edges: int) -> Counts:
        nothing = Counts(0, 0, (0,) * edges)
        return self.counts.get(Arm.STABLE, nothing) + self.counts.get(Arm.BASELINE, nothing)

    def window(self, edges: int) -> Window:
        nothing = Counts(0, 0, (0,) * edges)
        return Window(
            self.since,
            self.until,
            self.counts.get(Arm.STABLE, nothing),
            self.counts.get(Arm.CANARY, nothing),
            self.counts.get(Arm.BASELINE),
            self.counts.get(Arm.NEITHER),
        )


class WindowBuilder:
    """Turns snapshots into windows, in which both releases are counted over the same time.

    A proxy counts the requests of all releases and is sampled at once: each proxy has windows of
    its own, between two of its own samples. So a proxy that comes, goes or is sampled late costs
    only its own evidence.

    A pod counts its own requests, and pods are sampled at different times. A window ends when every
    pod that is there has been sampled since the last one ended. It then holds the increase of each
    pod between its own samples, and each request once. The ends of the pods differ by as much as
    the time between two samples. So what the old release had just before and just after is added to
    ``Window.around`` if it looks like an outage, and a window is returned after the next one ends.
    """

    def __init__(self, edges: int) -> None:
        """``edges`` is the number of latency thresholds."""
        self._edges = edges
        self._log = SampleLog()
        #: For pods: the open window, the series sampled in it, and the windows that have ended.
        self._open = _new_part()
        self._advanced: set[Series] = set()
        self._ended: list[_Part] = []
        #: What the last snapshot added, and the time between it and the one before, in seconds.
        self._latest: list[Increase] = []
        self._latest_seconds = 0.0
        self._is_paired = True

    @property
    def interval(self) -> float:
        """Return the time between two samples of a series, in seconds, as far as it is known."""
        return max(_LEAST_INTERVAL, self._log.interval or _UNKNOWN_INTERVAL)

    @property
    def at(self) -> float | None:
        """Return the time of the last snapshot."""
        return self._log.at

    def latest(self, since: float) -> tuple[dict[Arm, Counts], float] | None:
        """Return what the last snapshot added, by arm, not yet over the same time; and how long.

        That is, in seconds, for proxies the mean of what their samples cover, 0 if none has a new
        one; for pods the time since the snapshot before. What a proxy counted from before ``since``
        on is left out. What pods counted can't be told apart so: then return None.
        """
        taken = [each for each in self._latest if each.since >= since]
        part = _new_part()
        for each in taken:
            part.add(each)
        if not self._is_paired:
            return (part.counts, self._latest_seconds) if len(taken) == len(self._latest) else None
        covered = {each.series.instance: each.until - each.since for each in taken}
        return part.counts, sum(covered.values()) / max(1, self._log.instances)

    def add(self, snapshot: CounterSnapshot) -> tuple[Window, ...]:
        """Return the windows that a snapshot completes, which may be none.

        Raise ValueError, which names the series, for another number of latency thresholds.
        """
        for series, counts in snapshot.counts.items():
            if len(counts.slow) != self._edges:
                raise ValueError(
                    f"{series.arm} {series.instance}: must have {self._edges} latency thresholds"
                )
        before = self._log.at
        increases = list(self._log.add(snapshot))
        self._latest, self._is_paired = increases, snapshot.paired
        self._latest_seconds = 0.0 if before is None else max(0.0, snapshot.at - before)
        self._forget_gone(_GONE_INTERVALS if snapshot.paired else _GONE_INTERVALS_OF_PODS)
        if snapshot.paired:
            return self._of_proxies(increases)
        return self._of_pods(increases)

    def _of_proxies(self, increases: Iterable[Increase]) -> tuple[Window, ...]:
        parts: dict[str, _Part] = {}
        for each in increases:
            parts.setdefault(each.series.instance, _new_part()).add(each)
        return tuple(part.window(self._edges) for part in parts.values())

    def _of_pods(self, increases: Iterable[Increase]) -> tuple[Window, ...]:
        for each in increases:
            self._open.add(each)
            self._advanced.add(each.series)
        if not self._open.counts or self._is_awaited():
            return ()
        self._ended.append(self._open)
        self._open, self._advanced = _new_part(), set()
        if len(self._ended) < 2:
            return ()
        *before, part, after = self._ended[-3:]
        self._ended = self._ended[-2:]
        old = part.old(self._edges)
        beside = [each.old(self._edges) for each in (*before, after)]
        return (replace(part.window(self._edges), around=_around(old, beside)),)

    def _is_awaited(self) -> bool:
        """Return True if a series that was sampled not long ago has no new sample yet."""
        newest = self._newest()
        repeated = self._log.twins.repeated(self._log.samples)
        return any(
            newest - sample.seen_at <= _WAIT_INTERVALS * self._interval_of(series)
            for series, sample in self._log.samples.items()
            if series not in self._advanced and series.instance not in repeated
        )

    def awaited_seconds(self, arm: Arm) -> float:
        """Return for how long a pod of a release was not sampled that still will be; 0 for none."""
        newest = self._newest()
        oldest = min(
            (
                sample.seen_at
                for series, sample in self._log.samples.items()
                if series.arm is arm
                and newest - sample.seen_at <= _WAIT_INTERVALS * self._interval_of(series)
            ),
            default=newest,
        )
        return 0.0 if oldest == newest else (self._log.at or newest) - oldest

    def is_sampled(self, arm: Arm) -> bool:
        """Return True if a pod of a release was sampled not long ago. Samples may be missed."""
        newest = self._newest()
        return any(
            newest - sample.seen_at <= _WAIT_INTERVALS * self._interval_of(series)
            for series, sample in self._log.samples.items()
            if series.arm is arm
        )

    def _newest(self) -> float:
        return max((each.seen_at for each in self._log.samples.values()), default=0.0)

    def _interval_of(self, series: Series) -> float:
        known = self._log.intervals.get(series.instance)
        return self.interval if known is None else max(known, _LEAST_INTERVAL)

    def _forget_gone(self, intervals: float) -> None:
        newest = self._newest()
        # If no series at all is sampled, none is gone: then the source itself sees nothing.
        for series, sample in list(self._log.samples.items()):
            if newest - sample.seen_at > intervals * self._interval_of(series):
                self._log.forget(series)
                self._advanced.discard(series)

    def dump(self) -> dict[str, Any]:
        """Return the complete state for JSON."""
        return {
            "at": self._log.at,
            "samples": [
                [
                    series.arm.value,
                    series.instance,
                    sample.at,
                    sample.started,
                    sample.seen_at,
                    _dump_counts(sample.counts),
                ]
                for series, sample in self._log.samples.items()
            ],
            "intervals": self._log.intervals,
            "different": sorted(map(list, self._log.twins.different)),
            "open": _dump_part(self._open),
            "advanced": [[series.arm.value, series.instance] for series in self._advanced],
            "ended": [_dump_part(part) for part in self._ended],
        }

    @classmethod
    def load(cls, edges: int, dumped: Mapping[str, Any]) -> WindowBuilder:
        """Restore what ``dump`` returned; raise KeyError, TypeError or ValueError."""
        builder = cls(edges)
        builder._log.at = dumped["at"]
        for arm, instance, at, started, seen_at, counts in dumped["samples"]:
            sample = Sample(at, _load_counts(counts), started, seen_at)
            builder._log.samples[Series(Arm(arm), instance)] = sample
        builder._log.intervals = {str(name): float(of) for name, of in dumped["intervals"].items()}
        # The last version had no such field.
        different = dumped.get("different", [])
        builder._log.twins.different = {(one, other) for one, other in different}
        builder._open = _load_part(dumped["open"])
        builder._advanced = {Series(Arm(arm), instance) for arm, instance in dumped["advanced"]}
        builder._ended = [_load_part(part) for part in dumped["ended"]]
        return builder


def sum_windows(windows: Sequence[Window]) -> Window:
    """Return one window with the counts of all, from the first begin to the last end."""
    first, *others = windows
    for each in others:
        first = Window(
            min(first.since, each.since),
            max(first.until, each.until),
            first.stable + each.stable,
            first.canary + each.canary,
            _plus(first.baseline, each.baseline),
            _plus(first.neither, each.neither),
            None if first.around is None or each.around is None else first.around + each.around,
        )
    return first


def _plus(one: Counts | None, other: Counts | None) -> Counts | None:
    if one is None or other is None:
        return one or other
    return one + other


def _around(old: Counts, beside: Sequence[Counts]) -> Counts:
    """Return ``old`` with the hits of the windows beside it that look like an outage."""
    most = old.requests

    def widened(hits: Callable[[Counts], int]) -> int:
        ratios = [hits(each) / each.requests for each in (old, *beside) if each.requests]
        usual = min(ratios, default=0.0)
        bursts = (
            max(0.0, hits(each) - _USUAL_TIMES * usual * each.requests - _USUAL_HITS)
            for each in beside
        )
        return min(most, hits(old) + round(sum(bursts)))

    edges = range(len(old.slow))
    slow = tuple(widened(lambda counts, index=index: counts.slow[index]) for index in edges)  # type: ignore[misc]
    return Counts(most, widened(lambda counts: counts.failures), slow)


def _new_part() -> _Part:
    return _Part(float("inf"), float("-inf"), {})


def _dump_counts(counts: Counts) -> list[Any]:
    return [counts.requests, counts.failures, list(counts.slow)]


def _load_counts(dumped: Sequence[Any]) -> Counts:
    requests, failures, slow = dumped
    return Counts(requests, failures, tuple(slow))


def _dump_part(part: _Part) -> list[Any] | None:
    if not part.counts:
        return None
    counts = {arm.value: _dump_counts(counts) for arm, counts in part.counts.items()}
    return [part.since, part.until, counts]


def _load_part(dumped: Sequence[Any] | None) -> _Part:
    if dumped is None:
        return _new_part()
    since, until, counts = dumped
    return _Part(since, until, {Arm(arm): _load_counts(each) for arm, each in counts.items()})
