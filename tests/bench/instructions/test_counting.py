"""Instructions are counted of answers that were read to their end, and are the same each time."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cost.peers.commands import HELLO
from bench.frame.errors import BenchError
from bench.frame.processes import running
from bench.instructions.counting import count, counted, receive
from bench.testbed.operations import hello_operations
from bench.testbed.servers import Redis
from tests.conftest import need_redis_7


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1\r\ncontent-length:4\r\n\r\n\r\n\r\n",
    ],
)
def test_an_answer_is_read_to_its_end_in_whatever_pieces(
    ends: tuple[socket.socket, socket.socket], answer: bytes
) -> None:
    ours, theirs = ends

    def send() -> None:
        for byte in answer:
            theirs.sendall(bytes((byte,)))

    sending = threading.Thread(target=send)
    sending.start()
    assert receive(ours) == answer
    sending.join()


def test_an_answer_that_is_cut_short_is_none(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")
    theirs.close()

    with pytest.raises(BenchError, match="the connection ended"):
        receive(ours)


def test_a_hello_takes_as_many_instructions_each_time(tmp_path: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("needs valgrind (Debian package valgrind)")
    (hello,) = hello_operations()

    need_redis_7()

    with (
        running(Redis()) as redis,  # which hello does not use
        counted(HELLO.server(redis, (), tmp_path), tmp_path) as server,
    ):
        first, second = (count(server, hello.requests, 2, tmp_path) for _ in range(2))

    assert 50_000 < first < 500_000
    assert first / second == pytest.approx(1, rel=0.1)
