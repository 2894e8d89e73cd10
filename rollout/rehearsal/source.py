"""The evidence of a rehearsal: the gateway's access log, with each completed request once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

from ..envoy.inbound import INBOUND
from ..evidence.counts import Arm, CounterSnapshot, Counts, Series
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


def arm_of(entry: AccessLogEntry, releases: Releases) -> Arm | None:
    """Return the release that a request belongs to, as Istio's metrics in a cluster tell it.

    They name the workload of the chosen pod. Where a subset has none, they name no workload: the
    request belongs to NEITHER. Where the releases are Services, they name the Service. None if the
    route chose neither release.
    """
    chosen = entry.cluster
    arm = releases.arm_of(chosen.host, chosen.subset) if chosen else None
    if arm is None or chosen is None or entry.upstream is not None:
        return arm
    return arm if chosen.host in releases.hosts else Arm.NEITHER


class ArmCounts:
    """Counts requests by ``arm_of``.

    ``unattributed`` counts requests for which the route chose neither release.
    """

    def __init__(self, releases: Releases, slow_seconds: tuple[float, ...]) -> None:
        self._releases = releases
        arms = (*releases.names.values(), Arm.NEITHER)
        self._counts = {arm: RequestCounts(slow_seconds) for arm in arms}
        self.unattributed = RequestCounts(slow_seconds)

    def observe(self, entry: AccessLogEntry) -> None:
        """Count a request."""
        arm = arm_of(entry, self._releases)
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
        started = dict.fromkeys(series, self._started)
        return CounterSnapshot(at, series, started, oldest=self._log.take_oldest())

    async def _completed_requests(self) -> int:
        # Envoy logs a request when it is no longer active, however it ended.
        stats = await self._admin.stats(_DOWNSTREAM_REQUESTS)
        return sum(
            int(value) if name.endswith("total") else -int(value)
            for name, value in stats.items()
            if not name.startswith(_NOT_LOGGED)
        )
