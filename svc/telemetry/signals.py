"""The three signals of one process, metrics, traces and access lines, wired together."""

from __future__ import annotations

from typing import Protocol

from .clients import Networks
from .loop_lag import LoopLag
from .metrics import Metrics
from .requests import Recorder, RequestTelemetry
from .sampling import NoSampler, Sampler
from .store_meter import StoreMeter


class Tracing(Recorder, Protocol):
    """Makes and exports spans; tracing.py has the implementation."""

    async def close(self) -> None:
        """Export the queued spans."""


class Signals:
    """Metrics, traces and access lines of one process."""

    def __init__(
        self,
        metrics: Metrics,
        tracing: Tracing | None = None,
        sampler: Sampler | None = None,
        *,
        slow_seconds: float,
        log_all: bool,
        log_mistakes: bool = False,
        proxies: Networks = (),
    ) -> None:
        self.metrics = metrics
        self.tracing = tracing
        self.requests = RequestTelemetry(
            metrics,
            sampler or NoSampler(),
            tracing,
            slow_seconds=slow_seconds,
            log_all=log_all,
            log_mistakes=log_mistakes,
            proxies=proxies,
        )
        self.store_meter = StoreMeter(metrics)
        self._loop_lag = LoopLag(metrics.loop_lag)

    def start(self) -> None:
        """Start to observe the lag of the running event loop."""
        self._loop_lag.start()

    async def close(self) -> None:
        """Stop observing, and export the queued spans."""
        self._loop_lag.stop()
        if self.tracing is not None:
            await self.tracing.close()
