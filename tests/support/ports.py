"""Free ports of loopback, none given to two processes of this machine at a time."""

from __future__ import annotations

import socket
from typing import Final

from rollout.rehearsal.loopback import Ports

#: Above those that Linux deals out to clients: a connection of somebody's would take one away
#: between the moment it is found free and the moment its server starts. Rehearsals and benchmarks
#: choose from those below.
_PORTS: Final = Ports(range(61_000, 65_500), 100)
#: Bound as long as this process lives.
_closed: Final[list[socket.socket]] = []


def free_port() -> int:
    """Return a port that nobody listens on."""
    return _PORTS.choose()


def free_ports(count: int) -> int:
    """Return the first of this many consecutive free ports."""
    return _PORTS.choose(count)


def closed_port() -> int:
    """Return a port that refuses connections as long as this process lives.

    A free port that is kept for later may become that of another process's server.
    """
    port, bound = free_port(), socket.socket()
    bound.bind(("127.0.0.1", port))  # and never listens
    _closed.append(bound)
    return port
