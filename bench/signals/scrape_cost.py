"""How long a scrape blocks the event loop, seen from the traffic port.

A client sends tiny requests without a store one after the other. While the loop is blocked, none is
answered, so the longest gap between two answers during a scrape bounds the time that it was
blocked. The gap in the moment right before is subtracted, because the machine itself causes gaps.
The result is the median over all scrapes.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from bench.frame.rows import Row
from bench.testbed.operations import render_request
from bench.testbed.scrape import OPEN_METRICS
from bench.testbed.servers import Service

from . import limits

#: Between scrapes. It is longer than a scrape takes.
PAUSE_SECONDS: Final = 0.1

#: Begin and end, of time.perf_counter().
Span = tuple[float, float]


def measure_scrapes(service: Service, count: int) -> Row:
    scrapes: list[Span] = []
    with _answer_times(service.port) as answers:
        for _ in range(count):
            time.sleep(PAUSE_SECONDS)
            scrapes.append(_scrape(service))
        time.sleep(PAUSE_SECONDS)
    during = [_longest_gap_ms(answers, *span) for span in scrapes]
    quiet = [_longest_gap_ms(answers, 2 * begin - end, begin) for begin, end in scrapes]
    value = max(0.0, median(a - b for a, b in zip(during, quiet, strict=True)))
    note = f"gaps of {median(during):.1f} ms during, {median(quiet):.1f} before"
    title = f"time that a scrape blocks the loop, median of {count}"
    return Row(title, value, "ms", limits.SCRAPE_BLOCKS_MS, note)


def _longest_gap_ms(answers: Sequence[float], begin: float, end: float) -> float:
    """Return the longest time between two answers that overlaps the span."""
    first = max(0, bisect_right(answers, begin) - 1)
    last = min(len(answers), bisect_left(answers, end) + 1)
    return max((b - a for a, b in pairwise(answers[first:last])), default=0.0) * 1e3


def _scrape(service: Service) -> Span:
    """Scrape as Prometheus does, on an open connection."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", service.admin_port, timeout=10)
    ) as client:
        client.connect()
        begin = time.perf_counter()
        client.request(
            "GET", "/metrics", headers={"Accept": OPEN_METRICS, "Accept-Encoding": "gzip"}
        )
        with client.getresponse() as response:
            response.read()
        return begin, time.perf_counter()


@contextlib.contextmanager
def _answer_times(port: int) -> Iterator[list[float]]:
    """Send request after request within the block; yield the times of the answers."""
    answers: list[float] = []
    failures: list[OSError] = []
    ended = threading.Event()
    request = render_request("GET", "/v1/limits")

    def send() -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                while not ended.is_set():
                    connection.sendall(request)
                    connection.recv(65_536)
                    answers.append(time.perf_counter())
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=send, name="tiny-requests")
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]
