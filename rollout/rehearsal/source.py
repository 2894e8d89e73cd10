"""Evidence from the gateway's access log: every request that was completed, and none twice."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..evidence.counts import Arm, CounterSnapshot, Counts, Series
from ..runner.ports import SourceFailed
from .access_log import Access, AccessLog
from .envoy_admin import EnvoyAdmin, EnvoySilent

#: Envoy is one instance, and its counters live as long as the rehearsal.
GATEWAY: Final = "gateway"
#: Per listener: requests that came, and those of them that are under way.
_REQUESTS: Final = r"^http\..*\.downstream_rq_(total|active)$"
_OWN: Final = "http.admin."
#: The log may lag by its flush, and by what a busy machine adds; more is not waited for.
_LAG_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Tally:
    slow_seconds: tuple[float, ...]
    requests: int = 0
    failures: int = 0
    slow: list[int] = field(default_factory=list)

    def add(self, access: Access) -> None:
        self.requests += 1
        self.failures += access.failed
        for index, edge in enumerate(self.slow_seconds):
            self.slow[index] += access.failed or access.seconds > edge

    def counts(self) -> Counts:
        return Counts(self.requests, self.failures, tuple(self.slow))


class ArmCounts:
    """Counts requests by the subset that Envoy chose for them.

    So a failure of Envoy's own making, as of a subset without pods, is the arm's that it chose.
    ``unattributed`` are requests for which nothing was chosen, or something else than an arm.
    """

    def __init__(self, subsets: Mapping[str, Arm], slow_seconds: tuple[float, ...]) -> None:
        self._subsets = subsets
        self._tallies = {arm: _Tally(slow_seconds, slow=[0] * len(slow_seconds)) for arm in Arm}
        self.unattributed = _Tally(slow_seconds, slow=[0] * len(slow_seconds))

    def observe(self, access: Access) -> None:
        """Count a request."""
        arm = None if access.cluster is None else self._subsets.get(access.cluster.subset)
        (self.unattributed if arm is None else self._tallies[arm]).add(access)

    def by_arm(self) -> Mapping[Arm, Counts]:
        return {arm: tally.counts() for arm, tally in self._tallies.items()}


class RehearsalSource:
    """The port ``Source`` over the access log."""

    def __init__(self, counts: ArmCounts, log: AccessLog, admin: EnvoyAdmin) -> None:
        self._counts = counts
        self._log = log
        self._admin = admin
        self._started = time.time()

    async def read(self) -> CounterSnapshot:
        """Return the counts of all requests completed by now; raise SourceFailed."""
        try:
            completed = await self._completed()
        except EnvoySilent as error:
            raise SourceFailed(str(error)) from None
        at = time.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAG_SECONDS):
                await self._log.wait_for(completed)
        series = {Series(arm, GATEWAY): counts for arm, counts in self._counts.by_arm().items()}
        return CounterSnapshot(at, series, dict.fromkeys(series, self._started))

    async def _completed(self) -> int:
        # A request is in the log once it is no longer under way, whatever became of it.
        stats = await self._admin.stats(_REQUESTS)
        return sum(
            int(value) if name.endswith("total") else -int(value)
            for name, value in stats.items()
            if not name.startswith(_OWN)
        )
