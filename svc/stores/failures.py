"""The failures of a store's round trips by reason: counted, logged now and then, and shown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ..domain.model import StoreFailure
from ..telemetry.instruments import Counter
from .reasons import Reason

#: How often each reason is logged, and for how long it is shown after its last failure.
LOG_SECONDS: Final = 10.0
SHOWN_SECONDS: Final = 60.0
#: How often a server that does not answer is asked whether it expects TLS, or the opposite.
PROBE_SECONDS: Final = 10.0

# The name that log lines show stays when the module is moved.
log = logging.getLogger(f"{__package__}.refusals")


class Run:
    """The failures of one reason, with less than SHOWN_SECONDS between them."""

    def __init__(self, now: float) -> None:
        self.since = self.last = now
        self.logged = float("-inf")
        #: Failures since the last log line.
        self.unlogged = 0


class Failures:
    """Counts the failures of one store. ``ignored`` are the reasons that are none for it."""

    def __init__(
        self,
        counter: Counter | None = None,
        *,
        ignored: frozenset[Reason] = frozenset(),
    ) -> None:
        self._counter = counter
        if counter is not None:
            for reason in Reason:
                counter.setdefault((reason.value,), 0)
        self._ignored = ignored
        self._runs: dict[Reason, Run] = {}
        self._probed = float("-inf")
        self._probe: asyncio.Task[None] | None = None

    def observe(self, reason: Reason | None) -> None:
        """Count a failed round trip."""
        if reason is None or reason in self._ignored:
            return
        if self._counter is not None:
            self._counter[reason.value,] += 1
        now = time.monotonic()
        run = self._runs.get(reason)
        if run is None or now > run.last + SHOWN_SECONDS:
            run = self._runs[reason] = Run(now)
        run.last = now
        run.unlogged += 1
        if now >= run.logged + LOG_SECONDS:
            log.warning("store fails", extra={"reason": reason.value, "failures": run.unlogged})
            run.logged, run.unlogged = now, 0

    def suspect_tls(self, is_mismatch: Callable[[], Awaitable[bool]]) -> None:
        """Find out, in the background and not too often, whether only one side expects TLS."""
        now = time.monotonic()
        if now >= self._probed + PROBE_SECONDS:
            self._probed = now
            self._probe = asyncio.create_task(self._ask(is_mismatch))

    async def _ask(self, is_mismatch: Callable[[], Awaitable[bool]]) -> None:
        if await is_mismatch():
            self.observe(Reason.TLS)

    def recent(self) -> Sequence[StoreFailure]:
        """Return the reasons of the last SHOWN_SECONDS, the latest first."""
        now = time.monotonic()
        runs = sorted(self._runs.items(), key=lambda item: item[1].last, reverse=True)
        return [
            StoreFailure(reason.value, round(now - run.since, 3), round(now - run.last, 3))
            for reason, run in runs
            if now <= run.last + SHOWN_SECONDS
        ]

    def close(self) -> None:
        """End what runs in the background."""
        if self._probe is not None:
            self._probe.cancel()
