"""The evidence of a rehearsal: the gateway's access log, with each completed request once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

from ..envoy.inbound import INBOUND
from ..evidence.counts import BOTH, Arm, CounterSnapshot, Counts, Series
from ..plan.releases import Releases
from ..runner.ports import SourceFailed
from .access_log import AccessLog, AccessLogEntry, RequestCounts
from .envoy_admin import EnvoyAdmin
from .errors import EnvoyAdminFailed

#: The one instance whose counters are read. It runs as long as the rehearsal.
GATEWAY: Final = "gateway"
#: For each listener, the requests received, and those of them in flight.
_DOWNSTREAM_REQUESTS: Final = r"^http\..*\.downstream_rq_(total|active)$"
#: Of listeners that the access log leaves out: Envoy's own, and the pods' sidecars.
_NOT_LOGGED: Final = ("http.admin.", f"http.{INBOUND}")
#: How long to wait for entries that Envoy has not flushed yet.
_LOG_LAG_SECONDS: Final = 5.0


class ArmCounts:
    """Counts requests by the subset or the Service that the route chose.

    A failure of Envoy itself, such as a subset without pods, counts for the arm of that subset.
    ``unattributed`` counts requests for which the route chose neither release.
    """

    def __init__(self, releases: Releases, slow_seconds: tuple[float, ...]) -> None:
        self._releases = releases
        self._counts = {arm: RequestCounts(slow_seconds) for arm in BOTH}
        self.unattributed = RequestCounts(slow_seconds)

    def observe(self, entry: AccessLogEntry) -> None:
        """Count a request."""
        chosen = entry.cluster
        arm = self._releases.arm_of(chosen.host, chosen.subset) if chosen else None
        (self.unattributed if arm is None else self._counts[arm]).add(entry)

    def by_arm(self) -> Mapping[Arm, Counts]:
        return {arm: each.counts() for arm, each in self._counts.items()}


class RehearsalSource:
    """The runner's port ``Source`` over the access log."""

    def __init__(self, counts: ArmCounts, log: AccessLog, admin: EnvoyAdmin) -> None:
        self._counts = counts
        self._log = log
        self._admin = admin
        self._started = time.time()

    async def read(self) -> CounterSnapshot:
        """Return the counts of all requests that have completed; raise SourceFailed."""
        try:
            completed = await self._completed_requests()
        except EnvoyAdminFailed as error:
            raise SourceFailed(str(error)) from None
        at = time.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOG_LAG_SECONDS):
                await self._log.wait_for(completed)
        series = {Series(arm, GATEWAY): counts for arm, counts in self._counts.by_arm().items()}
        return CounterSnapshot(at, series, dict.fromkeys(series, self._started))

    async def _completed_requests(self) -> int:
        # Envoy logs a request when it is no longer active, however it ended.
        stats = await self._admin.stats(_DOWNSTREAM_REQUESTS)
        return sum(
            int(value) if name.endswith("total") else -int(value)
            for name, value in stats.items()
            if not name.startswith(_NOT_LOGGED)
        )
