"""Records the requests of each second and each arm, for the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..evidence.counts import BOTH, Arm
from ..plan.releases import Releases
from ..report.samples import ArmSample, Sample
from .access_log import AccessLogEntry, RequestCounts
from .source import arm_of


@dataclass(slots=True)
class _ArmSecond:
    counts: RequestCounts
    milliseconds: list[float] = field(default_factory=list)

    def add(self, entry: AccessLogEntry) -> None:
        self.counts.add(entry)
        self.milliseconds.append(entry.seconds * 1000)

    def side(self) -> ArmSample:
        times = sorted(self.milliseconds)
        if not times:
            return ArmSample(self.counts.counts())
        return ArmSample(
            self.counts.counts(), times[len(times) // 2], times[len(times) * 99 // 100]
        )


class SampleRecorder:
    """Assigns each request to the second in which it completed."""

    def __init__(
        self,
        releases: Releases,
        slow_seconds: tuple[float, ...],
        clock: Callable[[], float],
    ) -> None:
        """``clock`` returns Unix seconds."""
        self._releases = releases
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._seconds: dict[int, dict[Arm, _ArmSecond]] = {}
        self._shares: dict[int, float | None] = {}
        #: The desired share of the canary from now on, 0 to 1; None if the step has no share.
        self.share: float | None = 0.0

    def observe(self, entry: AccessLogEntry) -> None:
        """Record a request that completed now; ignore one that belongs to no release."""
        arm = arm_of(entry, self._releases)
        if arm is None or arm is Arm.NEITHER:
            return
        second = int(self._clock())
        if second not in self._seconds:
            self._seconds[second] = {
                each: _ArmSecond(RequestCounts(self._slow_seconds)) for each in BOTH
            }
        self._shares[second] = self.share
        # The baseline is the old release, too.
        self._seconds[second][Arm.CANARY if arm is Arm.CANARY else Arm.STABLE].add(entry)

    def samples(self) -> tuple[Sample, ...]:
        """Return the seconds in which a request completed, in order."""
        return tuple(self._sample(second) for second in sorted(self._seconds))

    def last(self) -> Sample | None:
        """Return the last second that is over; None before there is one."""
        over = [second for second in self._seconds if second < int(self._clock())]
        return self._sample(max(over)) if over else None

    def _sample(self, second: int) -> Sample:
        arms = self._seconds[second]
        return Sample(
            float(second),
            self._shares[second],
            arms[Arm.STABLE].side(),
            arms[Arm.CANARY].side(),
        )
