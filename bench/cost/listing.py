"""Cost of a page of a listing in a store of a thousand entries, and in one of many."""

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

from bench.frame.errors import BenchError
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.preload import fill_redis
from bench.testbed.servers import Stack, running_stack

from . import limits
from .run_sizes import Sizes

FEW: Final = 1000
PAGE: Final = 100
#: The two stores take turns, so that a busy moment of the machine affects both.
TURNS: Final = 3
PAGES_PER_TURN: Final = 100
WARM_UP_PAGES: Final = 20


@dataclass
class Reader:
    """Reads page after page, and starts again after the last one."""

    stack: Stack
    client: http.client.HTTPConnection
    cursor: str | None = None
    latencies_ms: list[float] = field(default_factory=list)
    service_ms: float = 0.0
    redis_ms: float = 0.0
    entries: int = 0

    def read_pages(self, pages: int) -> None:
        service = self.stack.tallykv.cpu_seconds()
        redis = self.stack.redis.cpu_seconds()
        for _ in range(pages):
            self._read_page()
        self.service_ms += (self.stack.tallykv.cpu_seconds() - service) * 1e3
        self.redis_ms += (self.stack.redis.cpu_seconds() - redis) * 1e3

    def forget(self) -> None:
        """Forget what was measured so far."""
        self.latencies_ms.clear()
        self.service_ms = self.redis_ms = 0.0
        self.entries = 0

    def costs(self) -> dict[str, float]:
        """Return the cost of one page in ms, by kind."""
        pages = len(self.latencies_ms)
        return {
            "latency, median": median(self.latencies_ms),
            "CPU time of the service": self.service_ms / pages,
            "CPU time of Redis": self.redis_ms / pages,
        }

    def _read_page(self) -> None:
        path = f"/v1/kv?limit={PAGE}"
        if self.cursor is not None:
            path += f"&cursor={quote(self.cursor)}"
        started = time.perf_counter()
        self.client.request("GET", path)
        with self.client.getresponse() as response:
            body = response.read()
        self.latencies_ms.append((time.perf_counter() - started) * 1e3)
        if response.status != 200:
            raise BenchError(f"GET {path} was answered {response.status}: {body[:300]!r}")
        page = json.loads(body)
        self.cursor = page["next_cursor"]
        self.entries += len(page["items"])


def measure_listing(run: Run[Sizes]) -> Iterator[Row]:
    """Compare a page of many entries with a page of a thousand."""
    with _reading(FEW, run) as few, _reading(run.sizes.entries, run) as many:
        for reader in (few, many):
            reader.read_pages(WARM_UP_PAGES)
            reader.forget()
        for _ in range(TURNS):
            for reader in (few, many):
                reader.read_pages(PAGES_PER_TURN)
        few_costs, many_costs = few.costs(), many.costs()
    for kind, cost in many_costs.items():
        title = f"page of {run.sizes.entries:,} entries ÷ of {FEW:,}: {kind}"
        note = f"{cost:.3f} and {few_costs[kind]:.3f} ms"
        yield Row(title, cost / few_costs[kind], "times", limits.LISTING_RATIO, note)
    pages = TURNS * PAGES_PER_TURN
    note = f"{few.entries / pages:.1f} with {FEW:,} entries"
    yield Row("entries on a page, mean", many.entries / pages, "entries", None, note)


@contextlib.contextmanager
def _reading(entries: int, run: Run[Sizes]) -> Iterator[Reader]:
    with (
        running_stack(run.server_cores, run.load_cores) as stack,
        contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", stack.tallykv.port, timeout=10)
        ) as client,
    ):
        say(f"filling Redis with {entries:,} entries")
        fill_redis(stack.redis.port, entries)
        yield Reader(stack, client)
