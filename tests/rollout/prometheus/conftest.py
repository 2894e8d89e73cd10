"""A real Prometheus, and targets that say what a test wants them to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.rollout.prometheus.exporters import Pool
from tests.rollout.prometheus.scraped_prometheus import Scraping
from tests.support.prometheus import running_prometheus

INTERVAL = "200ms"
#: As many as all tests together take: none sees what another has left.
TARGETS = 20


@pytest.fixture(scope="session")
def scraping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraping]:
    pool = Pool(TARGETS)
    with (
        pool.serving() as job,
        running_prometheus(
            tmp_path_factory.mktemp("prometheus"), [job], interval=INTERVAL
        ) as prometheus,
    ):
        yield Scraping(prometheus, pool)


@pytest.fixture
async def answering() -> AsyncIterator[Any]:
    """Make a server that answers every query with a handler; returns its address."""
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
