"""A lease on a ConfigMap: one process runs a rollout at a time. Clocks need not agree."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ..runner.state_store import StateFailed, StateHeld
from .api_client import Json
from .config_map import SharedConfigMap, annotation_of

_HOLDER: Final = "tallykv-rollout/holder"
_RENEWED: Final = "tallykv-rollout/renewed"
_LEASE_SECONDS: Final = "tallykv-rollout/lease-seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """When the lease expires and how often the holder renews it.

    A holder that can't renew stops after two thirds of ``duration_seconds``. Another process takes
    over only after it has seen no renewal for the whole ``duration_seconds``, by its own clock.
    """

    duration_seconds: float = 30.0
    renew_seconds: float = 8.0


class Lease:
    """Acquires, renews and releases the lease, which is kept in the ConfigMap's annotations."""

    def __init__(self, config_map: SharedConfigMap, times: LeaseTimes, poll_seconds: float) -> None:
        self._config_map = config_map
        self._times = times
        self._poll_seconds = poll_seconds
        self._identity = f"process {os.getpid()} on {socket.gethostname()} ({secrets.token_hex(4)})"

    def require(self, found: Json | None) -> None:
        """Raise StateHeld unless this process holds the lease in the ConfigMap as it was read."""
        holder = annotation_of(found, _HOLDER)
        if holder != self._identity:
            reason = f", but by {holder}" if holder else ": it was deleted, or never held"
            raise StateHeld(
                f"{self._config_map.title} is not held by this runner{reason};"
                " see tallykv-rollout status"
            )

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold the lease inside the block; raise StateHeld if another process holds it.

        If the lease can't be renewed in time, the block is cancelled and StateHeld is raised.
        """
        await self._acquire()
        runner = asyncio.current_task()
        assert runner is not None  # noqa: S101 - a coroutine runs in one
        lost: list[Exception] = []
        renewing = asyncio.create_task(self._renew(runner, lost))
        try:
            yield
        except asyncio.CancelledError as error:
            if lost and runner.uncancel() == 0:
                reason = str(lost[0]) or "it was not renewed in time; run the same command again"
                title = self._config_map.title
                raise StateHeld(f"the hold on {title} is lost: {reason}") from error
            raise
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            if not lost:
                await self._release()

    async def _acquire(self) -> None:
        """Take a free lease; watch a held one until it has expired."""
        clock = asyncio.get_running_loop().time
        seen: tuple[str | None, str | None] | None = None
        since = clock()
        while True:
            found = await self._config_map.get()
            holder = annotation_of(found, _HOLDER)
            if holder is not None:
                renewal = (holder, annotation_of(found, _RENEWED))
                if seen is not None and renewal != seen:
                    raise _held_by(holder)
                seen = renewal
                if clock() - since < _duration(found, self._times.duration_seconds):
                    await asyncio.sleep(self._poll_seconds)
                    continue
            await self._take(expired=seen)
            return

    async def _take(self, *, expired: tuple[str | None, str | None] | None) -> None:
        """Write the lease; raise StateHeld if somebody has taken or renewed it meanwhile."""

        def change(found: Json | None) -> Json | None:
            holder = annotation_of(found, _HOLDER)
            if holder == self._identity:
                return None  # it was applied, only the response was lost
            if holder is not None and (holder, annotation_of(found, _RENEWED)) != expired:
                raise _held_by(holder)
            return {"metadata": {"annotations": self._annotations()}}

        await self._config_map.update(change)

    async def _renew(self, runner: asyncio.Task[Any], lost: list[Exception]) -> None:
        """Renew the lease until cancelled; on failure, set ``lost`` and cancel the runner."""
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while True:
            await asyncio.sleep(self._times.renew_seconds)
            deadline = renewed + self._times.duration_seconds * 2 / 3
            started = clock()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._config_map.update(self._renewal)
            except (StateFailed, TimeoutError) as error:
                if isinstance(error, StateHeld) or clock() >= deadline:
                    lost.append(error)
                    runner.cancel()
                    return
            else:
                renewed = started

    def _renewal(self, found: Json | None) -> Json:
        self.require(found)
        return {"metadata": {"annotations": self._annotations()}}

    async def _release(self) -> None:
        def change(found: Json | None) -> Json:
            self.require(found)
            return {"metadata": {"annotations": dict.fromkeys(self._annotations())}}

        # If this fails, the lease expires.
        with contextlib.suppress(StateFailed):
            await self._config_map.update(change)

    def _annotations(self) -> dict[str, str]:
        return {
            _HOLDER: self._identity,
            _RENEWED: datetime.now(UTC).isoformat(),
            _LEASE_SECONDS: f"{self._times.duration_seconds:g}",
        }


def _held_by(holder: str) -> StateHeld:
    return StateHeld(
        f"{holder} runs the rollout; end it first, or control it: tallykv-rollout pause, resume"
        " or abort"
    )


def _duration(found: Json | None, default: float) -> float:
    """Return how long the holder's lease lasts without a renewal, in seconds."""
    try:
        return float(annotation_of(found, _LEASE_SECONDS) or default)
    except ValueError:
        return default
