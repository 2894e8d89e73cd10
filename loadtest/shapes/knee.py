"""The shape that looks for the knee: steps of ``--step-seconds`` until the objective breaks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from locust import LoadTestShape
from locust.stats import StatsEntry

from ..knee import KneeSearch
from ..latencies import since
from ..thresholds import Measured

#: The part of a step in which new users come in, and connect.
SETTLING: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Mark:
    """The counts so far, at a time."""

    at: float
    requests: int
    failures: int
    latencies: Mapping[int, int]

    @classmethod
    def now(cls, entry: StatsEntry) -> _Mark:
        times = dict(entry.response_times)
        return cls(time.perf_counter(), entry.num_requests, entry.num_failures, times)

    def until(self, later: _Mark) -> Measured:
        return Measured(
            later.requests - self.requests,
            later.failures - self.failures,
            later.at - self.at,
            since(later.latencies, self.latencies),
        )


class KneeShape(LoadTestShape):
    """Makes the steps of a search; locust asks it about once a second."""

    abstract = True
    use_common_options = True

    def __init__(self, search: KneeSearch, step_seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.search = search
        self._step_seconds = step_seconds
        self._began = time.perf_counter()
        self._mark: _Mark | None = None

    def reset_time(self) -> None:
        super().reset_time()  # type: ignore[no-untyped-call]
        self._begin_step()

    def tick(self) -> tuple[int, float] | None:
        users = self.search.users
        if users is None or self.runner is None:
            return None
        over = time.perf_counter() - self._began
        if self._mark is None and over >= self._step_seconds * SETTLING:
            self._mark = _Mark.now(self.runner.stats.total)
        elif self._mark is not None and over >= self._step_seconds:
            self.search.add(self._mark.until(_Mark.now(self.runner.stats.total)))
            self._begin_step()
            users = self.search.users
        return None if users is None else (users, float(users))

    def _begin_step(self) -> None:
        self._began = time.perf_counter()
        self._mark = None
