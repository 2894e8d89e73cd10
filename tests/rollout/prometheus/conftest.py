"""A real Prometheus with scrape targets, and an HTTP server in its place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.rollout.prometheus.exporters import TargetPool
from tests.rollout.prometheus.scraped_prometheus import ScrapedPrometheus
from tests.support.prometheus import running_prometheus

INTERVAL = "200ms"
#: Enough for one test: none sees the samples of another.
TARGETS = 6


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScrapedPrometheus]:
    """A Prometheus for the tests of a module: until it ends, it scrapes, and takes CPU time."""
    pool = TargetPool(TARGETS)
    with (
        pool.serving() as job,
        running_prometheus(
            tmp_path_factory.mktemp("prometheus"), [job], interval=INTERVAL
        ) as prometheus,
    ):
        yield ScrapedPrometheus(prometheus, pool)


@pytest.fixture
async def serve() -> AsyncIterator[Any]:
    """Return a function that starts a server with one handler and returns its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(handler: Any) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            runner = web.AppRunner(app, shutdown_timeout=0.01)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            return f"http://{host}:{port}"

        yield make
