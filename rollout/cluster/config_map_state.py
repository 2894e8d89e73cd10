"""A rollout's state in its cluster: a ConfigMap, held by a lease that its runner renews."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from lightkube import AsyncClient

from ..runner.state import (
    Given,
    Order,
    StateCorrupt,
    may_replace,
    read_events,
    read_order,
    read_state,
    write_event,
    write_order,
    write_state,
)
from .api_client import Json
from .config_map import SharedConfigMap, data_of
from .lease import Holder, Lease

_STATE: Final = "state.json"
_ORDER: Final = "order.json"
_EVENTS: Final = "events.jsonl"
#: A ConfigMap holds 1 MiB; the rest of the history is in the runner's log.
_EVENTS_KEPT: Final = 200


class ConfigMapState:
    """Keeps the state in the ConfigMap ``tallykv-rollout-`` and the VirtualService's name."""

    def __init__(
        self,
        client: AsyncClient,
        namespace: str,
        virtual_service: str,
        *,
        lease: Lease | None = None,
        away_seconds: float = 30.0,
        pause_seconds: float = 0.2,
        tries: int = 12,
    ) -> None:
        self._config_map = SharedConfigMap(
            client,
            namespace,
            f"tallykv-rollout-{virtual_service}",
            away_seconds=away_seconds,
            pause_seconds=pause_seconds,
            tries=tries,
        )
        self._holder = Holder(self._config_map, lease or Lease())

    async def load(self) -> dict[str, Any] | None:
        """Return the state saved last, None if there never was one."""
        text = data_of(await self._config_map.find(), _STATE)
        return None if text is None else read_state(text, self._place(_STATE))

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state; raise StateHeld if another runner has taken over."""
        text = write_state(state)

        def decide(found: Json | None) -> Json:
            self._holder.fence(found)
            return {"data": {_STATE: text}}

        await self._config_map.update(decide)

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the history, of which the last two hundred are kept."""
        line = write_event(event)

        def decide(found: Json | None) -> Json | None:
            before = (data_of(found, _EVENTS) or "").splitlines(keepends=True)
            if before and before[-1] == line:
                return None  # it was applied, only the answer was lost
            return {"data": {_EVENTS: "".join([*before, line][-_EVENTS_KEPT:])}}

        await self._config_map.update(decide)

    async def events(self) -> list[dict[str, Any]]:
        """Return the history, oldest first."""
        text = data_of(await self._config_map.find(), _EVENTS)
        return read_events(text or "", self._place(_EVENTS))

    async def order(self) -> Given | None:
        """Return the order that stands."""
        return self._standing(await self._config_map.find())

    async def give_order(self, order: Order) -> None:
        """Ask something of the runner."""
        text = write_order(order)

        def decide(found: Json | None) -> Json:
            # A damaged order is replaced like any other: nobody can obey it.
            with contextlib.suppress(StateCorrupt):
                may_replace(self._standing(found), order)
            return {"data": {_ORDER: text}}

        await self._config_map.update(decide)

    async def obeyed(self, given: Given) -> None:
        """Let an order stand no longer; a newer one stays."""

        def decide(found: Json | None) -> Json | None:
            return {"data": {_ORDER: None}} if self._standing(found) == given else None

        await self._config_map.update(decide)

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Be the only runner; a runner that can't renew its hold in time is cancelled."""
        return self._holder.hold()

    def _standing(self, found: Json | None) -> Given | None:
        text = data_of(found, _ORDER)
        return None if text is None else read_order(text, self._place(_ORDER))

    def _place(self, key: str) -> str:
        return f"{key} of {self._config_map.title}"
