"""The control commands that a runner has to carry out, as long as they can be read."""

from __future__ import annotations

import contextlib

from .state_store import ControlCommand, PendingCommand, StateCorrupt, StateFailed, StateStore


class CommandInbox:
    """Reads commands from the store. A store that fails, or a damaged command, stops no runner."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._pending: PendingCommand | None = None
        self._obeyed: str | None = None
        #: What is wrong with the command that is stored, an empty text if nothing.
        self.damage = ""
        #: True if the last command that was read has not been carried out.
        self.is_new = False

    def resume(self, obeyed: str | None) -> None:
        """Go on from a saved state with the token of the command that was carried out last.

        The runner before may have been killed before it acknowledged the command. What this one
        obeyed without saving it must be obeyed again.
        """
        self._obeyed, self.is_new = obeyed, False

    async def pending(self) -> ControlCommand | None:
        """Return the command that is not acknowledged yet, None if none can be read."""
        try:
            self._pending = await self._store.pending_command()
            self.damage = ""
        except StateCorrupt as error:
            self._pending, self.damage = None, str(error)
        except StateFailed:
            self._pending = None
        self.is_new = self._pending is not None and self._pending.token != self._obeyed
        return None if self._pending is None else self._pending.command

    def note_obeyed(self) -> str | None:
        """Note that the command that was read last was carried out; return its token for the state.

        It stays pending while nothing can be saved.
        """
        self._obeyed, self.is_new = self._pending.token if self._pending else None, False
        return self._obeyed

    async def acknowledge(self) -> None:
        """Remove the command that was read last."""
        if self._pending is not None:
            with contextlib.suppress(StateFailed):
                await self._store.acknowledge(self._pending)

    async def clear(self) -> None:
        """Remove a command that came too late."""
        await self.pending()
        await self.acknowledge()
