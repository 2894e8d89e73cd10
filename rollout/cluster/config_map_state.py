"""A state store in the cluster: one ConfigMap per rollout, with a lease that the runner renews."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from lightkube import AsyncClient

from ..runner.state_store import (
    ControlCommand,
    PendingCommand,
    StateCorrupt,
    check_may_replace,
    read_command,
    read_state,
    write_command,
    write_event,
    write_state,
)
from .api_client import ApiClient, Json
from .config_map import SharedConfigMap, data_of
from .lease import Lease, LeaseTimes

_STATE: Final = "state.json"
_ORDER: Final = "order.json"
_EVENTS: Final = "events.jsonl"
#: A ConfigMap holds at most 1 MiB. Older events are in the runner's log only.
_EVENTS_KEPT: Final = 200


class ConfigMapStateStore:
    """Keeps the state in the ConfigMap ``tallykv-rollout-`` + the VirtualService's name."""

    def __init__(
        self,
        client: AsyncClient,
        namespace: str,
        virtual_service: str,
        *,
        lease: LeaseTimes | None = None,
        retry_seconds: float = 30.0,
        backoff_seconds: float = 0.2,
    ) -> None:
        api = ApiClient(
            client, namespace, retry_seconds=retry_seconds, backoff_seconds=backoff_seconds
        )
        name = f"tallykv-rollout-{virtual_service}"
        self._config_map = SharedConfigMap(api, name)
        self._lease = Lease(self._config_map, lease or LeaseTimes(), backoff_seconds)

    async def load(self) -> dict[str, Any] | None:
        """Return the state saved last, None if there never was one."""
        text = data_of(await self._config_map.get(), _STATE)
        return None if text is None else read_state(text, self._title(_STATE))

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state; raise StateHeld if another runner has taken over."""
        text = write_state(state)

        def change(found: Json | None) -> Json:
            self._lease.require(found)
            return {"data": {_STATE: text}}

        await self._config_map.update(change)

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the history, which keeps the last 200."""
        line = write_event(event)

        def change(found: Json | None) -> Json | None:
            before = (data_of(found, _EVENTS) or "").splitlines(keepends=True)
            if before and before[-1] == line:
                return None  # it was applied, only the response was lost
            return {"data": {_EVENTS: "".join([*before, line][-_EVENTS_KEPT:])}}

        await self._config_map.update(change)

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

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Hold the lease inside the block: see Lease.hold."""
        return self._lease.hold()

    def _pending(self, found: Json | None) -> PendingCommand | None:
        text = data_of(found, _ORDER)
        return None if text is None else read_command(text, self._title(_ORDER))

    def _title(self, key: str) -> str:
        return f"{key} of {self._config_map.title}"
