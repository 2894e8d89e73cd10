"""What a rollout remembers: the port that keeps it, its promises, and how it is written."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

#: Of what is around the state; the controller's own fields are its own affair.
SCHEMA: Final = 1


class StateFailed(Exception):
    """The state can't be read or kept now; the message says what to do."""


class StateHeld(StateFailed):
    """Another runner works on this rollout; the message names its process and host."""


class StateCorrupt(StateFailed):
    """What was kept can't be read: a person decides whether the rollout begins anew."""


class StateUnknown(StateFailed):
    """What was kept is of another schema: another release of this tool wrote it."""


class OrderRefused(StateFailed):
    """An order that would take back one which stands."""


class Order(StrEnum):
    """What a person asks of the runner."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Given:
    """An order that stands; ``token`` tells it from the same order given again."""

    order: Order
    token: str


class StateStore(Protocol):
    """Where a rollout's state is kept. All methods raise StateFailed."""

    async def load(self) -> dict[str, Any] | None:
        """Return the state saved last, None if there never was one.

        Raise StateCorrupt or StateUnknown; never begin anew in silence.
        """

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state, all of it or nothing, and return once it would survive a crash.

        Only inside ``hold``; raise StateHeld if another runner has taken over.
        """

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the history."""

    async def events(self) -> list[dict[str, Any]]:
        """Return the history, oldest first; one that was torn while it was written is left out."""

    async def order(self) -> Given | None:
        """Return the order that stands, until it is obeyed."""

    async def give_order(self, order: Order) -> None:
        """Ask something of the runner, from any process; it replaces what was asked before.

        Raise OrderRefused for anything but an abort while an abort stands.
        """

    async def obeyed(self, given: Given) -> None:
        """Let an order stand no longer; a newer one stays."""

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Be the only runner inside the block; raise StateHeld if there is another.

        A runner that loses its hold inside the block is cancelled there and gets StateHeld.
        """


def write_state(state: Mapping[str, Any]) -> str:
    """Write a state as text."""
    return json.dumps({"schema": SCHEMA, "state": state}, allow_nan=False)


def read_state(text: str, where: str) -> dict[str, Any]:
    """Read a state as it was written; ``where`` is for messages, which say how to begin anew."""
    found = _object(text)
    if found is None or "schema" not in found:
        raise StateCorrupt(f"{where} is damaged; {_remedy(where)}")
    if found["schema"] != SCHEMA:
        raise StateUnknown(
            f"{where} has schema {found['schema']!r} and this release knows {SCHEMA}; go on with"
            f" the release that wrote it, or {_remedy(where)}"
        )
    state = found.get("state")
    if not isinstance(state, dict):
        raise StateCorrupt(f"{where} is damaged; {_remedy(where)}")
    return state


def write_order(order: Order) -> str:
    """Write an order as text, with a token of its own."""
    return json.dumps({"schema": SCHEMA, "order": order.value, "token": secrets.token_hex(8)})


def read_order(text: str, where: str) -> Given:
    """Read an order as it was written."""
    found = _object(text)
    try:
        if found is not None and found["schema"] == SCHEMA:
            return Given(Order(found["order"]), str(found["token"]))
    except (LookupError, ValueError) as error:
        raise StateCorrupt(f"{where} is no order; give it again") from error
    raise StateCorrupt(f"{where} is no order; give it again")


def may_replace(standing: Given | None, order: Order) -> None:
    """Raise OrderRefused if an order would take back an abort that stands."""
    if standing and standing.order is Order.ABORT and order is not Order.ABORT:
        raise OrderRefused(f"an abort stands already, and {order} would take it back; wait for it")


def write_event(event: Mapping[str, Any]) -> str:
    """Write an event as a line, its end included."""
    return json.dumps(event, allow_nan=False) + "\n"


def read_events(text: str, where: str) -> list[dict[str, Any]]:
    """Read the history; only the last line, the one without an end, may be torn."""
    *lines, _torn = text.split("\n")
    events = []
    for number, line in enumerate(lines, 1):
        event = _object(line)
        if event is None:
            raise StateCorrupt(f"{where}:{number} is damaged; take that line out")
        events.append(event)
    return events


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _remedy(where: str) -> str:
    return f"put the routes where they should be, then delete {where} to begin anew"
