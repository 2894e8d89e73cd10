"""Envoy's access log as a source of facts: one line for each request of a client's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterName:
    """What Istio writes into a cluster's name: ``outbound|port|subset|host``."""

    port: str
    subset: str
    host: str

    @classmethod
    def parse(cls, name: str) -> ClusterName:
        """Read a cluster's name; one of another form is all host."""
        parts = name.split("|")
        return cls(*parts[1:]) if len(parts) == 4 else cls("", "", name)


@dataclass(frozen=True, slots=True)
class Access:
    """One request as its client saw it, however often it was tried.

    ``cluster`` is what was chosen for it, None where nothing was; ``upstream`` the address that
    was asked last. ``status`` is 0 where there was no answer, ``flags`` say what Envoy had to do
    with that, ``-`` for nothing.
    """

    cluster: ClusterName | None
    upstream: str | None
    status: int
    flags: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Answered with 5xx, or not at all."""
        return self.status >= 500 or self.status == 0


class AccessLog:
    """Reads the lines and hands each request to whoever wants to know."""

    def __init__(self, *readers: Callable[[Access], None]) -> None:
        self._readers = readers
        self._news = asyncio.Event()
        #: Requests read so far.
        self.requests = 0

    def read(self, line: bytes) -> None:
        """Take one line; what is no line of ours is passed over."""
        try:
            access = parse_line(line)
        except (ValueError, KeyError, TypeError):
            return
        self.requests += 1
        self._news.set()
        for reader in self._readers:
            reader(access)

    async def wait_for(self, requests: int) -> None:
        """Return once so many requests were read."""
        while self.requests < requests:
            self._news.clear()
            await self._news.wait()


def parse_line(line: bytes) -> Access:
    """Read a line as ``rollout.envoy.access_log`` has it written.

    Raises ValueError, KeyError or TypeError if it is none.
    """
    said = json.loads(line)
    return Access(
        cluster=None if said["cluster"] is None else ClusterName.parse(said["cluster"]),
        upstream=said["upstream"],
        status=said["status"] or 0,
        flags=said["flags"] or "-",
        # Cut to whole milliseconds: 100 is some time above 100 ms, and so slower than that edge.
        seconds=((said["duration_ms"] or 0) + 0.5) / 1000,
    )
