"""The open loop: what a stall of the server does to the latencies."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from bench.frame.errors import BenchError
from bench.testbed.open_loop import OpenLoopResult, load_openly
from bench.testbed.operations import render_request

STALL_SECONDS = 0.3
GET = [render_request("GET", "/")]


class Stalling(socketserver.StreamRequestHandler):
    """Answers its first request late, and each third one in chunks."""

    def handle(self) -> None:
        answered = 0
        while self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            if answered == 0:
                time.sleep(STALL_SECONDS)
            answered += 1
            if answered % 3:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            else:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nh")
                self.wfile.write(b"i\r\n0\r\n\r\n")


class Closing(socketserver.StreamRequestHandler):
    """Answers a request, then closes the connection without saying so."""

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Mute(socketserver.StreamRequestHandler):
    """Reads a request and closes the connection."""

    def handle(self) -> None:
        self.rfile.readline()


class Failing(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), request.param) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("port", [Stalling], indirect=True)
def test_a_stall_delays_every_request_that_was_due_in_it(port: int) -> None:
    found = load_openly(port, GET, rate=100, seconds=0.5, connections=1)

    # A closed loop would send one request in the stall, and see one long latency. Twenty were due
    # in its first two thirds. A slow machine makes them more and longer, never fewer.
    assert len(found.latencies) == 50
    assert sum(each >= STALL_SECONDS / 3 - 0.01 for each in found.latencies) >= 20
    assert found.p99_ms >= found.p50_ms
    assert 0 < found.busy <= 1.01


@pytest.mark.parametrize("port", [Failing], indirect=True)
def test_an_answer_that_is_no_success_ends_the_measurement(port: int) -> None:
    with pytest.raises(BenchError, match="503"):
        load_openly(port, GET, rate=100, seconds=0.1, connections=1)


@pytest.mark.parametrize("port", [Closing], indirect=True)
def test_a_connection_that_the_server_closed_after_an_answer_is_opened_again(port: int) -> None:
    found = load_openly(port, GET, rate=100, seconds=0.2, connections=2)

    assert len(found.latencies) == 20


@pytest.mark.parametrize("port", [Mute], indirect=True)
def test_a_server_that_never_answers_ends_the_measurement(port: int) -> None:
    with pytest.raises(BenchError, match="before it answered"):
        load_openly(port, GET, rate=100, seconds=0.1, connections=1)


def test_percentiles_are_of_ascending_latencies() -> None:
    found = OpenLoopResult([n / 1000 for n in range(1000)], [0.001], 0.5)

    assert (found.p50_ms, found.p99_ms, found.late_p99_ms) == (500, 990, 1)
