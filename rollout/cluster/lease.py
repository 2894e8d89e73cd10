"""Who runs a rollout: signed on its ConfigMap, renewed, and never a matter of two clocks."""

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
from .config_map import SharedConfigMap, note_on

_HOLDER: Final = "tallykv-rollout/holder"
_RENEWED: Final = "tallykv-rollout/renewed"
_LEASE_SECONDS: Final = "tallykv-rollout/lease-seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """When a hold ends on its own, in seconds.

    A runner that can't renew gives up at two thirds of ``seconds``; another one takes over only
    after it has watched for all of them that nothing is renewed. So clocks need not agree.
    """

    seconds: float = 30.0
    renew_seconds: float = 8.0


class Holder:
    """One who may hold a ConfigMap: the process that we are."""

    def __init__(self, config_map: SharedConfigMap, lease: Lease) -> None:
        self._config_map = config_map
        self._lease = lease
        self._me = f"process {os.getpid()} on {socket.gethostname()} ({secrets.token_hex(4)})"

    def fence(self, found: Json | None) -> None:
        """Raise StateHeld unless we hold the ConfigMap as it was read."""
        holder = note_on(found, _HOLDER)
        if holder != self._me:
            whose = holder or "nobody: it was deleted, or never held"
            raise StateHeld(f"{self._config_map.title} is not held by this runner but by {whose}")

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Be the only one inside the block; who can't renew in time is cancelled there."""
        await self._acquire()
        runner = asyncio.current_task()
        assert runner is not None  # noqa: S101 - a coroutine runs in one
        lost: list[Exception] = []
        keeping = asyncio.create_task(self._keep(runner, lost))
        try:
            yield
        except asyncio.CancelledError as error:
            if lost and runner.uncancel() == 0:
                title = self._config_map.title
                raise StateHeld(f"the hold on {title} is lost: {lost[0]}") from error
            raise
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if not lost:
                await self._release()

    async def _acquire(self) -> None:
        """Take what nobody holds; watch a hold for as long as it may stay unrenewed."""
        clock = asyncio.get_running_loop().time
        seen: tuple[str | None, str | None] | None = None
        since = clock()
        while True:
            found = await self._config_map.find()
            holder = note_on(found, _HOLDER)
            if holder is not None:
                mark = (holder, note_on(found, _RENEWED))
                if seen is not None and mark != seen:
                    raise StateHeld(f"{holder} runs the rollout; end it first, or give it an order")
                seen = mark
                if clock() - since < _seconds(found, self._lease.seconds):
                    await asyncio.sleep(self._config_map.pause_seconds)
                    continue
            await self._sign(instead_of=seen)
            return

    async def _sign(self, *, instead_of: tuple[str | None, str | None] | None) -> None:
        """Sign unless somebody else has signed or renewed meanwhile; then raise StateHeld."""

        def decide(found: Json | None) -> Json | None:
            holder = note_on(found, _HOLDER)
            if holder == self._me:
                return None  # it was applied, only the answer was lost
            if holder is not None and (holder, note_on(found, _RENEWED)) != instead_of:
                raise StateHeld(f"{holder} runs the rollout; end it first, or give it an order")
            return {"metadata": {"annotations": self._signature()}}

        await self._config_map.update(decide)

    async def _keep(self, runner: asyncio.Task[Any], lost: list[Exception]) -> None:
        clock = asyncio.get_running_loop().time
        signed = clock()
        while True:
            await asyncio.sleep(self._lease.renew_seconds)
            latest = signed + self._lease.seconds * 2 / 3
            started = clock()
            try:
                async with asyncio.timeout_at(latest):
                    await self._config_map.update(self._renewal)
            except (StateFailed, TimeoutError) as error:
                if isinstance(error, StateHeld) or clock() >= latest:
                    lost.append(error)
                    runner.cancel()
                    return
            else:
                signed = started

    def _renewal(self, found: Json | None) -> Json:
        self.fence(found)
        return {"metadata": {"annotations": self._signature()}}

    async def _release(self) -> None:
        def decide(found: Json | None) -> Json:
            self.fence(found)
            return {"metadata": {"annotations": dict.fromkeys(self._signature())}}

        # If it can't be, the lease ends on its own.
        with contextlib.suppress(StateFailed):
            await self._config_map.update(decide)

    def _signature(self) -> dict[str, str]:
        return {
            _HOLDER: self._me,
            _RENEWED: datetime.now(UTC).isoformat(),
            _LEASE_SECONDS: f"{self._lease.seconds:g}",
        }


def _seconds(found: Json | None, default: float) -> float:
    """Return how long the one who holds it may leave it unrenewed."""
    try:
        return float(note_on(found, _LEASE_SECONDS) or default)
    except ValueError:
        return default
