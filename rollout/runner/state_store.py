"""Stores a rollout's state, control commands and events: the port, its guarantees, the format."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from .events import VERDICTS

#: Version of the envelope around the state. The fields inside are defined by ``rollout_state``.
SCHEMA: Final = 1
#: Fields that are equal in two records of one verdict.
_SAME_VERDICT: Final = ("rollout", "kind", "number", "reason")


class StateFailed(Exception):
    """The state can't be read or saved now; the message says what to do."""


class StateHeld(StateFailed):
    """Another runner holds this rollout; the message names its process and host."""


class StateTaken(StateHeld):
    """Another runner has taken the rollout from this one, which may try to get it again."""


class StateCorrupt(StateFailed):
    """The saved state can't be parsed; a person must decide whether to start again."""


class StateUnknown(StateFailed):
    """The saved state has another schema; another version of this tool wrote it."""


class CommandRefused(StateFailed):
    """The command would replace a pending abort."""


class ControlCommand(StrEnum):
    """What a person tells the runner to do."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command that no runner has acknowledged yet; ``token`` makes each one unique."""

    command: ControlCommand
    token: str


class StateStore(Protocol):
    """Keeps the state of one rollout. All methods raise StateFailed."""

    async def load(self) -> dict[str, Any] | None:
        """Return the last saved state, None if there is none.

        Raise StateCorrupt or StateUnknown: a damaged state is never ignored.
        """

    async def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state atomically, and return when it would survive a crash.

        Call it only inside ``hold``. Raise StateHeld if another runner has taken over.
        """

    async def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the log.

        A verdict that the log ends with already is not appended again: see ``repeats_verdict``.
        """

    async def pending_command(self) -> PendingCommand | None:
        """Return the command that no runner has acknowledged yet."""

    async def send_command(self, command: ControlCommand) -> None:
        """Send a command to the runner, from any process. It replaces a pending one.

        Raise CommandRefused for anything but an abort while an abort is pending.
        """

    async def acknowledge(self, pending: PendingCommand) -> None:
        """Remove a command that was carried out. A newer one stays pending."""

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Be the only runner inside the block; raise StateHeld if another one holds the rollout.

        A runner from which another one takes the hold is cancelled, and StateTaken is raised.
        """

    def why_not_held(self) -> str:
        """Return why the runner can't be sure of its hold now, an empty text if it can.

        While it can't, it changes no routes, and ``save`` raises StateFailed.
        """


def write_state(state: Mapping[str, Any]) -> str:
    """Return a state as text."""
    return json.dumps({"schema": SCHEMA, "state": state}, allow_nan=False)


def read_state(text: str, where: str) -> dict[str, Any]:
    """Parse what ``write_state`` returned; ``where`` names the place in messages."""
    found = _object(text)
    if found is None or "schema" not in found:
        raise StateCorrupt(f"{where} is damaged; {_remedy(where)}")
    if found["schema"] != SCHEMA:
        raise StateUnknown(
            f"{where} has schema {found['schema']!r}, and this version knows schema {SCHEMA};"
            f" continue with the version that wrote it, or {_remedy(where)}"
        )
    state = found.get("state")
    if not isinstance(state, dict):
        raise StateCorrupt(f"{where} is damaged; {_remedy(where)}")
    return state


def write_command(command: ControlCommand) -> str:
    """Return a command as text, with a new token."""
    return json.dumps({"schema": SCHEMA, "order": command.value, "token": secrets.token_hex(8)})


def read_command(text: str, where: str) -> PendingCommand:
    """Parse what ``write_command`` returned; raise StateCorrupt."""
    found = _object(text)
    try:
        if found is not None and found["schema"] == SCHEMA:
            return PendingCommand(ControlCommand(found["order"]), str(found["token"]))
    except (LookupError, ValueError) as error:
        raise StateCorrupt(f"{where} is no command; send it again") from error
    raise StateCorrupt(f"{where} is no command; send it again")


def check_may_replace(pending: PendingCommand | None, command: ControlCommand) -> None:
    """Raise CommandRefused if a command would replace a pending abort."""
    abort = ControlCommand.ABORT
    if pending and pending.command is abort and command is not abort:
        raise CommandRefused(
            f"an abort is pending, and {command} would cancel it; wait until the abort is done"
        )


def write_event(event: Mapping[str, Any]) -> str:
    """Return an event as one line with its newline."""
    return json.dumps(event, allow_nan=False) + "\n"


def repeats_verdict(last_line: str, event: Mapping[str, Any]) -> bool:
    """Return True if a log that ends with ``last_line`` has this verdict already.

    A runner that is killed before it notes in the state that it recorded the verdict is followed by
    one that records it again: at another time, and maybe in other words for the same reason.
    """
    if event.get("kind") not in VERDICTS:
        return False
    last = _object(last_line) or {}
    return all(last.get(each) == event.get(each) for each in _SAME_VERDICT)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _remedy(where: str) -> str:
    return f"run with --again gives the canary no requests and starts again, in place of {where}"
