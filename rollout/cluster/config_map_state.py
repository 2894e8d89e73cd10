"""A state store in the cluster: one ConfigMap per rollout."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from lightkube import AsyncClient

from ..runner.state_store import (
    ControlCommand,
    PendingCommand,
    StateCorrupt,
    StateFailed,
    StateHeld,
    StateTaken,
    check_may_replace,
    read_command,
    read_state,
    repeats_verdict,
    write_command,
    write_event,
    write_state,
)
from .api_client import ApiClient, Json
from .config_map import SharedConfigMap, StateFull, annotation_of, data_of

_STATE: Final = "state.json"
_ORDER: Final = "order.json"
_EVENTS: Final = "events.jsonl"
#: The runner that may write the state. The Lease says who that is; this only stops a late write.
_WRITER: Final = "tallykv-rollout/writer"
#: A ConfigMap holds at most 1 MiB. Older events are in the runner's log only.
_EVENTS_KEPT: Final = 200
#: Events that a state follows at once: of a step, nothing may delay the change of the routes.
_WITH_THE_NEXT_STATE: Final = frozenset({"window", "step"})


class ConfigMapStateStore:
    """Keeps the state in the ConfigMap ``tallykv-rollout-`` + the VirtualService's name.

    Use it inside a LeasedStateStore: it does not keep two runners apart by itself. Events that
    can't be written now, and those of windows and steps, are written with the next state.
    """

    def __init__(
        self,
        client: AsyncClient,
        namespace: str,
        virtual_service: str,
        *,
        retry_seconds: float = 3.0,
        backoff_seconds: float = 0.2,
    ) -> None:
        """``retry_seconds`` is short: whoever asks repeats it, and does other things meanwhile."""
        api = ApiClient(
            client, namespace, retry_seconds=retry_seconds, backoff_seconds=backoff_seconds
        )
        name = f"tallykv-rollout-{virtual_service}"
        self._config_map = SharedConfigMap(api, name, retry_seconds=retry_seconds)
        self._writer: str | None = None
        self._has_written = False
        self._unwritten: list[Mapping[str, Any]] = []

    async def load(self) -> dict[str, Any] | None:
        """Return the state saved last, None if there never was one."""
        text = data_of(await self._config_map.get(), _STATE)
        return None if text is None else read_state(text, self._title(_STATE))

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state; raise StateTaken if another runner has written since.

        A ConfigMap that was deleted is written again. If it is full, the history is left out.
        """
        text = write_state(state)

        def change(found: Json | None) -> Json:
            self._require(found)
            return {
                "data": {_STATE: text, **self._history(found)},
                "metadata": {"annotations": {_WRITER: self._writer}},
            }

        def change_without_history(found: Json | None) -> Json:
            return {**change(found), "data": {_STATE: text, _EVENTS: None}}

        try:
            await self._config_map.update(change)
        except StateFull:
            await self._config_map.update(change_without_history)
        self._has_written = True
        self._unwritten.clear()

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the history, unless it is the verdict that the history ends with.

        The history keeps the last 200.
        """
        self._unwritten = [*self._unwritten, event][-_EVENTS_KEPT:]
        if event.get("kind") in _WITH_THE_NEXT_STATE and self._writer:
            return

        def change(found: Json | None) -> Json | None:
            history = self._history(found)
            return {"data": history} if history else None

        with contextlib.suppress(StateFailed):
            await self._config_map.update(change)
            self._unwritten.clear()

    async def pending_command(self) -> PendingCommand | None:
        """Return the pending command, None if there is none."""
        return self._pending(await self._config_map.get())

    async def send_command(self, order: ControlCommand) -> None:
        """Send a command to the runner; raise CommandRefused if an abort is pending."""
        text = write_command(order)

        def change(found: Json | None) -> Json:
            # A damaged command may be replaced: no runner can carry it out.
            with contextlib.suppress(StateCorrupt):
                check_may_replace(self._pending(found), order)
            return {"data": {_ORDER: text}}

        await self._config_map.update(change)

    async def acknowledge(self, given: PendingCommand) -> None:
        """Remove a command that was carried out; a newer one stays."""

        def change(found: Json | None) -> Json | None:
            return {"data": {_ORDER: None}} if self._pending(found) == given else None

        await self._config_map.update(change)

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Be the writer of the state inside the block, from the first state on."""
        self._writer = secrets.token_hex(8)
        self._has_written = False
        try:
            yield
        finally:
            self._writer = None

    def why_not_held(self) -> str:
        """Return an empty text: the Lease decides."""
        return ""

    def _require(self, found: Json | None) -> None:
        if self._writer is None:
            raise StateHeld(f"{self._config_map.title} is not held by this runner")
        # A ConfigMap that was made anew has no writer.
        if self._has_written and annotation_of(found, _WRITER) not in {None, self._writer}:
            raise StateTaken(f"{self._config_map.title} was written by another runner")

    def _history(self, found: Json | None) -> Json:
        """Return the history with the events that are not in it."""
        before = (data_of(found, _EVENTS) or "").splitlines(keepends=True)
        lines = before.copy()
        for event in self._unwritten:
            line = write_event(event)
            # If only the response was lost, they are there already.
            is_there = line in before[-len(self._unwritten) :]
            if not is_there and not (lines and repeats_verdict(lines[-1], event)):
                lines.append(line)
        return {_EVENTS: "".join(lines[-_EVENTS_KEPT:])} if len(lines) > len(before) else {}

    def _pending(self, found: Json | None) -> PendingCommand | None:
        text = data_of(found, _ORDER)
        return None if text is None else read_command(text, self._title(_ORDER))

    def _title(self, key: str) -> str:
        return f"{key} of {self._config_map.title}"
