"""Free ports of loopback, none given to two processes of this machine at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections import deque
from pathlib import Path
from typing import IO, Final

#: Above those that Linux deals out to clients: a connection of somebody's would take one away
#: between the moment it is found free and the moment its server starts. Rehearsals and benchmarks
#: choose from those below.
_PORTS: Final = range(61_000, 65_500)

#: So many of its last ports a process keeps to itself, far more than it uses at a time.
_KEPT: Final = 200
_ours: deque[int] = deque()
#: Bound as long as this process lives.
_closed: Final[list[socket.socket]] = []


def _open_locks() -> IO[bytes]:
    path = Path(tempfile.gettempdir()) / f"tallykv-test-ports-{os.getuid()}"
    return path.open("ab")


#: Byte N is locked for port N. The system drops the locks of a process that ends. Never closed:
#: closing any descriptor of the file would drop them, too.
_locks: Final = _open_locks()


def free_port() -> int:
    """Return a port that nobody listens on."""
    return free_ports(1)


def closed_port() -> int:
    """Return a port that refuses connections as long as this process lives.

    A free port that is kept for later may become that of another process's server.
    """
    port, bound = free_port(), socket.socket()
    bound.bind(("127.0.0.1", port))  # and never listens
    _closed.append(bound)
    return port


def free_ports(count: int) -> int:
    """Return the first of this many consecutive free ports."""
    while True:
        first = random.randrange(_PORTS.start, _PORTS.stop - count)
        ports = range(first, first + count)
        if not set(ports).intersection(_ours) and _are_free(ports) and all(map(_lock, ports)):
            _ours.extend(ports)
            while len(_ours) > _KEPT:
                fcntl.lockf(_locks, fcntl.LOCK_UN, 1, _ours.popleft())
            return first


def _are_free(ports: range) -> bool:
    with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
        for port in ports:
            probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
        return True
    return False


def _lock(port: int) -> bool:
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:  # another process has it
        return False
    return True
