"""A state store, of any kind, that only the holder of a Lease in the cluster writes to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..runner.state_store import ControlCommand, PendingCommand, StateFailed, StateStore
from .lease import Lease


class LeasedStateStore:
    """Two runners can't both act, wherever they run and wherever their state is."""

    def __init__(self, store: StateStore, lease: Lease) -> None:
        self._store = store
        self._lease = lease

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold the lease and the store; raise StateHeld, or StateTaken inside the block."""
        async with self._lease.hold(), self._store.hold():
            yield

    def why_not_held(self) -> str:
        """Return why this runner may change nothing now, an empty text if it may."""
        return self._lease.why_not_held() or self._store.why_not_held()

    async def load(self) -> dict[str, Any] | None:
        """Return the state saved last, None if there never was one."""
        return await self._store.load()

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state; raise StateFailed while the lease is not sure."""
        if why := self._lease.why_not_held():
            raise StateFailed(why)
        await self._store.save(state)

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the history."""
        await self._store.record(event)

    async def pending_command(self) -> PendingCommand | None:
        """Return the pending command, None if there is none."""
        return await self._store.pending_command()

    async def send_command(self, command: ControlCommand) -> None:
        """Send a command to the runner."""
        await self._store.send_command(command)

    async def acknowledge(self, pending: PendingCommand) -> None:
        """Remove a command that was carried out; a newer one stays."""
        await self._store.acknowledge(pending)
