"""The shapes as Locust's LoadTestShape: along a curve, and in steps until the knee is found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from locust import LoadTestShape
from locust.stats import StatsEntry

from ..latencies import increase
from ..thresholds import Measured
from .curves import Curve
from .knee_search import KneeSearch

#: The part of a step in which new users start and connect. It is not measured.
WARM_UP: Final = 0.25


class CurveShape(LoadTestShape):
    """Follows a curve for ``--run-time``, up to ``--users``."""

    abstract = True
    use_common_options = True

    def __init__(self, curve: Curve, users: int, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._curve = curve
        self._users = users
        self._seconds = seconds

    def tick(self) -> tuple[int, float] | None:
        over = self.get_run_time() / self._seconds  # type: ignore[no-untyped-call]
        if over >= 1:
            return None
        users = max(1, round(self._users * self._curve(over)))
        # Spawned at once: the curve decides how fast the number grows.
        return users, float(self._users)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Locust's counts at a time."""

    at: float
    requests: int
    failures: int
    latencies: Mapping[int, int]

    @classmethod
    def take(cls, entry: StatsEntry) -> _Snapshot:
        times = dict(entry.response_times)
        return cls(time.perf_counter(), entry.num_requests, entry.num_failures, times)

    def until(self, later: _Snapshot) -> Measured:
        return Measured(
            later.requests - self.requests,
            later.failures - self.failures,
            later.at - self.at,
            increase(later.latencies, self.latencies),
        )


class KneeShape(LoadTestShape):
    """Takes the steps of a search, each for ``--step-seconds``. Locust calls it every second."""

    abstract = True
    use_common_options = True

    def __init__(self, search: KneeSearch, step_seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.search = search
        self._step_seconds = step_seconds
        self._began = time.perf_counter()
        #: After the warm-up of the step.
        self._snapshot: _Snapshot | None = None

    def reset_time(self) -> None:
        super().reset_time()  # type: ignore[no-untyped-call]
        self._begin_step()

    def tick(self) -> tuple[int, float] | None:
        users = self.search.users
        if users is None or self.runner is None:
            return None
        over = time.perf_counter() - self._began
        if self._snapshot is None and over >= self._step_seconds * WARM_UP:
            self._snapshot = _Snapshot.take(self.runner.stats.total)
        elif self._snapshot is not None and over >= self._step_seconds:
            self.search.add(self._snapshot.until(_Snapshot.take(self.runner.stats.total)))
            self._begin_step()
            users = self.search.users
        return None if users is None else (users, float(users))

    def _begin_step(self) -> None:
        self._began = time.perf_counter()
        self._snapshot = None
