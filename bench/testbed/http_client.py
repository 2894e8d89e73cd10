"""A client that asks as fast as one core can: pipelined requests on a few connections."""

from __future__ import annotations

import re
import selectors
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bench.frame.processes import BenchError

CONNECTIONS: Final = 32
#: Requests on their way on each connection.
DEPTH: Final = 8
PATIENCE_SECONDS: Final = 10.0
#: No body that is asked for here may hold such a line.
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ")
_PARTIAL: Final = len(b"HTTP/1.1 200 ") - 1


@dataclass
class _Connection:
    socket: socket.socket
    owed: int = 0
    #: What may be the beginning of a status line.
    rest: bytes = b""

    def take(self, statuses: Counter[int]) -> None:
        received = self.socket.recv(262_144)
        if not received:
            raise BenchError("the service closed a connection in the middle of the requests")
        data, end = self.rest + received, 0
        for found in _STATUS.finditer(data):
            statuses[int(found[1])] += 1
            self.owed -= 1
            end = found.end()
        self.rest = data[max(end, len(data) - _PARTIAL) :]


def ask_all(port: int, requests: Iterable[bytes]) -> Counter[int]:
    """Send all the requests and return how often each status was answered; raise BenchError."""
    waiting = iter(requests)
    statuses: Counter[int] = Counter()
    busy = 0
    with selectors.DefaultSelector() as selector:
        try:
            for connection in _connections(port):
                if _send(connection, waiting):
                    selector.register(connection.socket, selectors.EVENT_READ, connection)
                    busy += 1
                else:
                    connection.socket.close()
            while busy:
                events = selector.select(PATIENCE_SECONDS)
                if not events:
                    raise BenchError(f"no answer in {PATIENCE_SECONDS:.0f} s, after {statuses}")
                for key, _ in events:
                    each: _Connection = key.data
                    each.take(statuses)
                    if each.owed == 0 and not _send(each, waiting):
                        selector.unregister(each.socket)
                        each.socket.close()
                        busy -= 1
        finally:
            for key in list(selector.get_map().values()):
                key.data.socket.close()
    return statuses


def _connections(port: int) -> Iterator[_Connection]:
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield _Connection(connection)


def _send(connection: _Connection, waiting: Iterator[bytes]) -> bool:
    chunk = list(islice(waiting, DEPTH))
    connection.owed = len(chunk)
    if chunk:
        connection.socket.sendall(b"".join(chunk))
    return bool(chunk)
