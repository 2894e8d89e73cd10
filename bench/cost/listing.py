"""What a page of a listing costs among few entries and among many."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Final
from urllib.parse import quote

from ..frame.processes import BenchError, Cores
from ..frame.report import say
from ..testbed.preload import fill
from ..testbed.servers import Server, all_signals, running_collector, running_redis, running_tallykv

FEW: Final = 1000
PAGE: Final = 100
#: Few and many take turns, so that a busy moment of the machine meets both.
TURNS: Final = 3
PAGES_PER_TURN: Final = 100


@dataclass
class Walk:
    """A reader who follows the cursors, and begins anew at the end."""

    tallykv: Server
    redis: Server
    client: http.client.HTTPConnection
    seconds: list[float] = field(default_factory=list)
    listed: int = 0
    service_cpu: float = 0.0
    redis_cpu: float = 0.0
    cursor: str | None = None

    def turn(self, pages: int) -> None:
        service, redis = self.tallykv.process.cpu_seconds(), self.redis.process.cpu_seconds()
        for _ in range(pages):
            self._page()
        self.service_cpu += self.tallykv.process.cpu_seconds() - service
        self.redis_cpu += self.redis.process.cpu_seconds() - redis

    def _page(self) -> None:
        path = f"/v1/kv?limit={PAGE}"
        if self.cursor is not None:
            path += f"&cursor={quote(self.cursor)}"
        started = time.perf_counter()
        self.client.request("GET", path)
        with self.client.getresponse() as response:
            body = response.read()
        self.seconds.append(time.perf_counter() - started)
        if response.status != 200:
            raise BenchError(f"GET {path} was answered {response.status}: {body[:300]!r}")
        page = json.loads(body)
        self.cursor = page["next_cursor"]
        self.listed += len(page["items"])


@dataclass(frozen=True)
class PageCost:
    """The cost of one page, in milliseconds."""

    latency: float
    service_cpu: float
    redis_cpu: float
    entries: float


def measure_listing(many: int, server: Cores, aside: Cores) -> tuple[PageCost, PageCost]:
    """Return a page's cost among a thousand entries and among ``many``."""
    with _walk(FEW, server, aside) as few, _walk(many, server, aside) as long:
        for walk in (few, long):
            walk.turn(PAGES_PER_TURN // 5)
            walk.seconds.clear()
            walk.service_cpu = walk.redis_cpu = walk.listed = 0
        for _ in range(TURNS):
            for walk in (few, long):
                walk.turn(PAGES_PER_TURN)
        return _cost(few), _cost(long)


def _cost(walk: Walk) -> PageCost:
    pages = len(walk.seconds)
    return PageCost(
        median(walk.seconds) * 1e3,
        walk.service_cpu / pages * 1e3,
        walk.redis_cpu / pages * 1e3,
        walk.listed / pages,
    )


@contextlib.contextmanager
def _walk(entries: int, core: Cores, aside: Cores) -> Iterator[Walk]:
    with (
        running_redis(aside) as redis,
        running_collector(aside) as collector,
        running_tallykv(
            f"redis://127.0.0.1:{redis.port}", core, **all_signals(collector)
        ) as tallykv,
        contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", tallykv.port, timeout=10)
        ) as client,
    ):
        say(f"filling Redis with {entries:,} entries for the listing")
        fill(redis.port, entries)
        yield Walk(tallykv, redis, client)
