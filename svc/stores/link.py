"""The port to Redis: round trips with a deadline, and what is known about a command that failed.

Each command ends in one of three ways: a reply (which may be an error reply), ``Unsent`` (certainly
not executed) or ``Lost`` (perhaps executed). A command is sent twice only if the caller declares it
repeatable, or if it is a script that the server answers NOSCRIPT to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from .clock import ServerClock
from .wire import Reply, Wire

#: The words of one command. A Script as the first word means EVALSHA.
Command = tuple[Any, ...]


class Unsent(Exception):
    """The command was certainly not executed.

    ``word`` is the server's, if it refused the connection, such as NOAUTH; else "unsent".
    """

    def __init__(self, reason: str, word: str = "unsent") -> None:
        super().__init__(reason)
        self.word = word


class Lost(Exception):
    """The command was sent, but no reply arrived: perhaps it was executed."""


class Link(Protocol):
    """A way to one Redis server, or to the servers of a Cluster."""

    #: The clock of the server that was checked last.
    clock: ServerClock

    def groups(self, names: Sequence[bytes]) -> list[list[int]]:
        """Group the positions in ``names`` by which names one command may hold together."""

    #: True if it leads to the servers of a Cluster.
    is_cluster: bool

    def server_of(self, name: bytes) -> Link:
        """Return the link to the server that has the name; this link if that is not known."""

    def layout(self) -> str:
        """Return a description of which server has which keys. It changes when keys move."""

    async def execute(
        self, commands: Sequence[Command], *, deadline: float, repeatable: bool = False
    ) -> list[Reply]:
        """Send all commands at once. Return a reply, ReplyError, Unsent or Lost for each.

        ``deadline`` is time of the LoopClock. ``repeatable`` commands are sent once more if the
        connection breaks. Raises ReplyTooLarge if reads of several values get more than
        MOST_READ_BYTES.
        """

    def primaries(self, deadline: float) -> Awaitable[Sequence[ServerLink]]:
        """Return a link to each primary. Raises StoreUnavailable if none is known by then."""

    async def refresh(self) -> None:
        """Ask anew which server has which keys."""

    def connections(self) -> tuple[int, int, int]:
        """Return the numbers of connections that are idle, in use, and allowed."""

    async def close(self) -> None:
        """Close every connection."""


class ServerLink(Link, Protocol):
    """A way to one Redis server, which also opens connections for what lasts, such as a watch."""

    async def open(self) -> Wire:
        """Return a new connection, which is not of the pool. Raises OSError, ReplyError."""

    def observe_failure(self, error: Exception) -> None:
        """Count a failure of such a connection."""
