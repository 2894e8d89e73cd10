"""Open-loop load by this process: requests at a constant rate, whatever the server does.

Each request is due at its place in the schedule, and its latency counts from then. Where all
connections wait for the server, requests are sent late and the wait is a part of their latency: the
omission that is coordinated with the server's stalls is thereby corrected. Whatever the generator
itself is late counts too. Its own lateness and its CPU time show where its limit is.
"""

from __future__ import annotations

import gc
import re
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Final, Self

from bench.frame.errors import BenchError

from .http_client import TIMEOUT_SECONDS
from .wrk import CONNECTIONS

#: A generator that works more of the time than this may not keep the rate.
BUSIEST: Final = 0.9
_RECEIVED: Final = 262_144
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass(frozen=True)
class OpenLoopResult:
    """Latencies in seconds, ascending, and how well the generator did."""

    latencies: list[float]
    #: How long after a request was due, and a connection free, it was sent. Ascending.
    late: list[float]
    #: The part of the time that the generator had the CPU.
    busy: float

    @property
    def p50_ms(self) -> float:
        return _percentile(self.latencies, 50) * 1e3

    @property
    def p99_ms(self) -> float:
        return _percentile(self.latencies, 99) * 1e3

    @property
    def late_p99_ms(self) -> float:
        return _percentile(self.late, 99) * 1e3


class _Closed(Exception):
    """The server has closed a connection that it may close."""


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    #: Of the request whose answer it waits for; empty while it is free.
    request: bytes = b""
    #: Whether this socket has had an answer: after one, a server may close it at any time.
    has_answered: bool = False
    due: float = 0.0
    free_since: float = 0.0
    answer: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        self.request = request
        # That the server has closed the connection meanwhile is seen where the answer is read.
        with suppress(ConnectionError):
            self.socket.sendall(request)

    def receive(self) -> bool:
        """Return True if the answer is complete. Raise BenchError if it is no success, and _Closed
        if the server closed the connection after an earlier answer.
        """
        received = b""
        with suppress(ConnectionError):
            received = self.socket.recv(_RECEIVED)
        if not received:
            if self.answer or (self.request and not self.has_answered):
                raise BenchError("the server closed a connection before it answered")
            raise _Closed
        self.answer += received
        head = self.answer.find(b"\r\n\r\n")
        if head < 0:
            return False
        if self.answer[8:10] != b" 2":
            raise BenchError(f"an answer is no success: {bytes(self.answer[:300])!r}")
        if length := _LENGTH.search(self.answer, 0, head):
            is_complete = len(self.answer) >= head + 4 + int(length[1])
        else:
            is_complete = not _CHUNKED.search(self.answer, 0, head) or self.answer.endswith(
                b"\r\n0\r\n\r\n"
            )
        if is_complete:
            self.answer.clear()
            self.request, self.has_answered = b"", True
        return is_complete


def load_openly(
    port: int,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    connections: int = CONNECTIONS,
) -> OpenLoopResult:
    """Send ``rate`` requests a second, in random order; raise BenchError if one fails."""
    chosen = cycle(Random(1).sample(requests, len(requests)))
    total = max(1, int(rate * seconds))
    latencies: list[float] = []
    late: list[float] = []
    with _Pool(port, connections) as pool, _no_collection():
        # In turns: a server may close a connection that is idle for long.
        free = deque(pool.by_number.values())
        sent, start, used = 0, time.perf_counter(), time.process_time()
        while len(latencies) < total:
            now = time.perf_counter()
            while free and sent < total and start + sent / rate <= now:
                each = free.popleft()
                each.due = start + sent / rate
                late.append(now - max(each.due, each.free_since))
                each.send(next(chosen))
                sent += 1
                now = time.perf_counter()
            is_waiting = not free or sent == total
            timeout = TIMEOUT_SECONDS if is_waiting else start + sent / rate - time.perf_counter()
            # epoll's own timeout counts milliseconds, select's microseconds.
            if timeout > 0 and not select.select([pool.epoll], [], [], timeout)[0] and is_waiting:
                raise BenchError(f"no answer in {TIMEOUT_SECONDS:.0f} s")
            for number, _ in pool.epoll.poll(0):
                each = pool.by_number[number]
                try:
                    is_complete = each.receive()
                except _Closed:
                    pool.reopen(each)
                    continue
                if is_complete:
                    each.free_since = time.perf_counter()
                    latencies.append(each.free_since - each.due)
                    free.append(each)
        busy = (time.process_time() - used) / (time.perf_counter() - start)
    return OpenLoopResult(sorted(latencies), sorted(late), busy)


class _Pool:
    """Open connections to a port of loopback, and an epoll of them."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self.epoll = select.epoll()
        self.by_number: dict[int, _Connection] = {}
        for _ in range(count):
            self._add(_Connection(self._connect()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.epoll.close()
        for each in self.by_number.values():
            each.socket.close()

    def reopen(self, connection: _Connection) -> None:
        """Replace a socket that the server has closed; send what waits for its answer again."""
        del self.by_number[connection.socket.fileno()]
        connection.socket.close()  # which also ends its place in the epoll
        connection.socket, connection.has_answered = self._connect(), False
        self._add(connection)
        if connection.request:
            connection.send(connection.request)

    def _connect(self) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_SECONDS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _add(self, connection: _Connection) -> None:
        self.epoll.register(connection.socket, select.EPOLLIN)
        self.by_number[connection.socket.fileno()] = connection


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from delaying requests."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _percentile(ascending: Sequence[float], percent: int) -> float:
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)]
