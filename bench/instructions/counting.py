"""Run a server under valgrind, and count the instructions of some of its requests."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from bench.frame.errors import BenchError
from bench.frame.processes import Server, find_program, running

AnyServer = TypeVar("AnyServer", bound=Server)

#: Requests that are under way at the same time: one on each connection.
CONNECTIONS: Final = 64
#: A program takes about fifty times as long as without valgrind.
ANSWER_SECONDS: Final = 120.0
CONTROL_SECONDS: Final = 60.0
_TOTALS: Final = re.compile(r"^totals: (\d+)", re.MULTILINE)
_LENGTH: Final = re.compile(rb"^content-length: *(\d+)", re.MULTILINE | re.IGNORECASE)


@contextlib.contextmanager
def counted(server: AnyServer, directory: Path, root: str | None = None) -> Iterator[AnyServer]:
    """Run the server under valgrind, which does not count yet; from another checkout's root."""
    valgrind = find_program("valgrind")
    server.command = [
        *(() if root is None else ("env", f"--chdir={root}")),
        *(valgrind, "--tool=callgrind", "--instr-atstart=no"),
        f"--callgrind-out-file={directory / server.name}.out",
        *server.command,
    ]
    with running(server):
        yield server


class Clients:
    """Clients that send their next requests once all of them have their answers."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        for _ in range(CONNECTIONS):
            address = ("127.0.0.1", self._server.port)
            self._connections.append(socket.create_connection(address, ANSWER_SECONDS))
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._connections:
            each.close()

    def send(self, requests: Sequence[bytes], rounds: int) -> int:
        """Send ``rounds`` requests on each connection. Return how many were answered 2xx: all."""
        for number in range(rounds):
            for i, each in enumerate(self._connections):
                each.sendall(requests[(number * CONNECTIONS + i) % len(requests)])
            for each in self._connections:
                answer = receive(each)
                if not answer.startswith(b"HTTP/1.1 2"):
                    raise BenchError(f"{self._server.name} answered {answer[:300]!r}")
        return rounds * CONNECTIONS


def receive(connection: socket.socket) -> bytes:
    """Return one answer that has a Content-Length; raise BenchError if the connection ends."""
    data, missing = b"", 1
    while missing > 0:
        received = connection.recv(262_144)
        if not received:
            raise BenchError(f"the connection ended after {data[:300]!r}")
        data += received
        head, end, _ = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end:
            missing = len(head) + 4 + (int(length[1]) if length else 0) - len(data)
    return data


def count(server: Server, requests: Sequence[bytes], rounds: int, directory: Path) -> float:
    """Return the instructions of a request, after as many that are not counted."""
    with Clients(server) as clients:
        clients.send(requests, rounds)
        _control(server, "--instr=on")
        sent = clients.send(requests, rounds)
        _control(server, "--instr=off")
    for earlier in directory.glob(f"{server.name}.out*"):
        earlier.unlink()
    _control(server, "--dump")
    written = directory.glob(f"{server.name}.out*")
    found = [int(total) for each in written for total in _TOTALS.findall(each.read_text())]
    if not found:
        raise BenchError(f"valgrind wrote no count of {server.name}: {server.output()[-300:]!r}")
    return sum(found) / sent


def _control(server: Server, order: str) -> None:
    """Give callgrind an order, and wait until it is obeyed."""
    server.check_alive()
    command = [find_program("callgrind_control"), order, str(server.pid)]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=CONTROL_SECONDS, check=False
    )
    if ended.returncode:
        raise BenchError(f"{' '.join(command)}: {ended.stdout}{ended.stderr}")
