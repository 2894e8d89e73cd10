"""What a scrape does to the event loop, seen from the traffic port.

Tiny requests that ask no store follow each other all the time. While the loop is blocked none is
answered: the longest time between two answers during a scrape bounds how long that was. What the
machine itself holds up shows as well in the moment before, so that is taken off; the median over
all scrapes is the scrape's own.
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

from bench.frame.report import Row, say
from bench.testbed.operations import request
from bench.testbed.servers import Server

from . import limits
from .exposition import OPEN_METRICS
from .rows import row

#: Between scrapes, where the loop is watched as long without one.
PAUSE_SECONDS: Final = 0.1

Span = tuple[float, float]


def measure_scrapes(service: Server, count: int) -> Row:
    say(f"scraping: {count} scrapes beside a stream of tiny requests")
    scrapes: list[Span] = []
    with _watching(service.port) as answers:
        for _ in range(count):
            time.sleep(PAUSE_SECONDS)
            scrapes.append(_scrape(service))
        time.sleep(PAUSE_SECONDS)
    during = [_longest_gap(answers, *span) for span in scrapes]
    # As long as a scrape, right before it.
    quiet = [_longest_gap(answers, 2 * begin - end, begin) for begin, end in scrapes]
    value = max(0.0, median(a - b for a, b in zip(during, quiet, strict=True)))
    return row(
        f"cardinality: ms that a scrape holds up the loop, median of {count}",
        value,
        limits.SCRAPE_BLOCKS_MS,
        shown=f"{value:.1f}",
        beside=f"{median(during):.1f} in one, {median(quiet):.1f} without",
    )


def _longest_gap(answers: Sequence[float], begin: float, end: float) -> float:
    """Return the longest time between two answers that reaches into the span, in ms."""
    first = max(0, bisect_right(answers, begin) - 1)
    last = min(len(answers), bisect_left(answers, end) + 1)
    around = answers[first:last]
    return max((b - a for a, b in pairwise(around)), default=0.0) * 1e3


def _scrape(service: Server) -> Span:
    """Scrape as Prometheus does, and return when it began and ended."""
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
def _watching(port: int) -> Iterator[list[float]]:
    """Ask again and again within the block; gives the times of the answers."""
    answers: list[float] = []
    ended = threading.Event()
    wire = request("GET", "/v1/limits")
    failures: list[OSError] = []

    def ask() -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                while not ended.is_set():
                    connection.sendall(wire)
                    connection.recv(65_536)
                    answers.append(time.perf_counter())
        except OSError as error:
            failures.append(error)

    watcher = threading.Thread(target=ask, name="watch-loop")
    watcher.start()
    try:
        yield answers
    finally:
        ended.set()
        watcher.join()
    if failures:
        raise failures[0]
