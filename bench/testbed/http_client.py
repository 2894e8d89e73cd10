"""HTTP/1.1 from one core: single requests, and many pipelined ones."""

from __future__ import annotations

import contextlib
import http.client
import re
import selectors
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bench.frame.errors import BenchError

CONNECTIONS: Final = 32
#: Requests in flight on each connection.
PIPELINE_DEPTH: Final = 8
TIMEOUT_SECONDS: Final = 10.0
#: No body that is requested here contains such a line.
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ")
_PARTIAL: Final = len(b"HTTP/1.1 200 ") - 1


def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request on a new connection; return the status and the body. Raise OSError."""
    status, _, body = exchange_whole(port, request)
    return status, body


def exchange_whole(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Do the same; return the headers too, by their names in lower case."""
    with contextlib.closing(
        socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
    ) as connection:
        # A service that refuses a large body answers before it has read all of it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        method = request.partition(b" ")[0].decode()
        with http.client.HTTPResponse(connection, method=method) as response:
            response.begin()
            headers = {name.lower(): text for name, text in response.headers.items()}
            return response.status, headers, response.read()


@dataclass
class _Connection:
    socket: socket.socket
    awaited: int = 0
    #: The last bytes, which may be the beginning of a status line.
    rest: bytes = b""

    def receive(self, statuses: Counter[int]) -> None:
        received = self.socket.recv(262_144)
        if not received:
            raise BenchError("the service closed a connection before it answered all requests")
        data, end = self.rest + received, 0
        for found in _STATUS.finditer(data):
            statuses[int(found[1])] += 1
            self.awaited -= 1
            end = found.end()
        self.rest = data[max(end, len(data) - _PARTIAL) :]


def exchange_all(port: int, requests: Iterable[bytes]) -> Counter[int]:
    """Send all requests, pipelined; return the number of answers by status. Raise BenchError."""
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
                events = selector.select(TIMEOUT_SECONDS)
                if not events:
                    raise BenchError(f"no answer in {TIMEOUT_SECONDS:.0f} s, after {statuses}")
                for key, _ in events:
                    each: _Connection = key.data
                    each.receive(statuses)
                    if each.awaited == 0 and not _send(each, waiting):
                        selector.unregister(each.socket)
                        each.socket.close()
                        busy -= 1
        finally:
            for key in list(selector.get_map().values()):
                key.data.socket.close()
    return statuses


def _connections(port: int) -> Iterator[_Connection]:
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield _Connection(connection)


def _send(connection: _Connection, waiting: Iterator[bytes]) -> bool:
    """Send the next requests; return False if there are none."""
    chunk = list(islice(waiting, PIPELINE_DEPTH))
    connection.awaited = len(chunk)
    if chunk:
        connection.socket.sendall(b"".join(chunk))
    return bool(chunk)
