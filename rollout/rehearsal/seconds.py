"""The rehearsal second by second, as its report draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..evidence.counts import Arm, Counts
from ..report.samples import ArmSample, Sample
from .access_log import Access


@dataclass(slots=True)
class _Bin:
    failures: int = 0
    slow: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def side(self) -> ArmSample:
        times = sorted(self.milliseconds)
        counts = Counts(len(times), self.failures, tuple(self.slow))
        if not times:
            return ArmSample(counts)
        return ArmSample(counts, times[len(times) // 2], times[len(times) * 99 // 100])


class Seconds:
    """Sorts each request into the second in which it was completed."""

    def __init__(
        self,
        subsets: Mapping[str, Arm],
        slow_seconds: tuple[float, ...],
        clock: Callable[[], float],
    ) -> None:
        """``subsets`` says which arm a subset is; ``clock`` gives Unix seconds."""
        self._subsets = subsets
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._bins: dict[int, dict[Arm, _Bin]] = {}
        self._shares: dict[int, float | None] = {}
        #: The canary's share of all requests, as it is desired from now on.
        self.share: float | None = 0.0

    def observe(self, access: Access) -> None:
        """Take in a request that was completed now."""
        arm = None if access.cluster is None else self._subsets.get(access.cluster.subset)
        if arm is None:
            return
        second = self._bins.setdefault(int(self._clock()), {each: self._bin() for each in Arm})
        self._shares[int(self._clock())] = self.share
        sorted_into = second[arm]
        sorted_into.failures += access.failed
        sorted_into.milliseconds.append(access.seconds * 1000)
        for index, edge in enumerate(self._slow_seconds):
            sorted_into.slow[index] += access.failed or access.seconds > edge

    def samples(self) -> tuple[Sample, ...]:
        """Return the seconds in which anything was answered."""
        return tuple(self._sample(second) for second in sorted(self._bins))

    def last(self) -> Sample | None:
        """Return the last second that is over, None before any."""
        over = [second for second in self._bins if second < int(self._clock())]
        return self._sample(max(over)) if over else None

    def _sample(self, second: int) -> Sample:
        arms = self._bins[second]
        return Sample(
            float(second),
            self._shares[second],
            arms[Arm.STABLE].side(),
            arms[Arm.CANARY].side(),
        )

    def _bin(self) -> _Bin:
        return _Bin(slow=[0] * len(self._slow_seconds))
