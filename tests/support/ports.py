"""Free ports of loopback, none dealt out twice in a while, nor by two workers of a test run."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator
from typing import Final

#: Below those that systems deal out to clients: a connection of somebody's would take one away
#: between the moment it is found free and the moment its server starts. Servers of a Redis Cluster
#: talk to each other on the port 10,000 above.
_PORTS: Final = range(10_000, 15_000)


def _own(worker: str, workers: int) -> Iterator[int]:
    number = int(worker.removeprefix("gw"))
    own = _PORTS[number::workers]
    first = random.randrange(len(own))
    yield from itertools.cycle([*own[first:], *own[:first]])


_dealt = _own(
    os.environ.get("PYTEST_XDIST_WORKER", "gw0"),
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)


def free_port() -> int:
    """Return a port that nobody listens on."""
    for port in _dealt:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("itertools.cycle ended")
