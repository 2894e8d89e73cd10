"""A blocked event loop is observed, at whatever moment it is blocked."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
import uvloop

from svc.telemetry.instruments import Histogram
from svc.telemetry.loop_lag import PERIOD_SECONDS, LoopLag
from svc.telemetry.metrics import LAG_BOUNDS
from tests.support.instrumented_service import OPENMETRICS, Scrape
from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.services import service_process
from tests.support.waiting import eventually, until

BLOCK_SECONDS: Final = 0.2
SEEN_FROM_SECONDS: Final = 0.1
PHASES: Final = [phase * PERIOD_SECONDS / 10 for phase in range(11)]
LOOPS: Final[dict[str, Any]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def seen(lag: Histogram, seconds: float) -> int:
    """Return the number of observations above this."""
    cells = zip([*lag._bounds, float("inf")], lag._counts, strict=True)
    return sum(count for bound, count in cells if bound > seconds)


async def watch(lag: Histogram, block: Callable[[asyncio.AbstractEventLoop], None]) -> None:
    """Observe the event loop while ``block`` blocks it, and for some periods more."""
    watcher, loop = LoopLag(lag), asyncio.get_running_loop()
    watcher.start()
    try:
        await eventually(lambda: lag.count >= 1, what="the first look")
        block(loop)
        rounds = lag.count + 3
        await eventually(lambda: lag.count >= rounds, what="more looks")
    finally:
        watcher.stop()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("phase", PHASES, ids="{:.3f}".format)
def test_a_block_is_seen_whatever_its_phase(loop: str, phase: float) -> None:
    lag = Histogram(LAG_BOUNDS)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watch(lag, lambda loop: block_in(loop, phase)))

    assert seen(lag, SEEN_FROM_SECONDS) >= 1


def block_in(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    loop.call_later(seconds, time.sleep, BLOCK_SECONDS)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_block_in_the_turn_of_an_observation_is_seen(loop: str) -> None:
    """The loop's own clock stands still within a turn, so it can't show the lag."""
    lag = Histogram(LAG_BOUNDS)

    def block_often(loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + PERIOD_SECONDS
        # Two of the four are on one side of the observation, and long enough to be seen.
        for at in (due - 0.001, due, due + 0.001):
            loop.call_at(at, time.sleep, BLOCK_SECONDS / 2)
        loop.call_soon(time.sleep, BLOCK_SECONDS / 2)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watch(lag, block_often))

    assert seen(lag, SEEN_FROM_SECONDS) >= 1


def test_a_task_that_blocks_the_loop_is_observed() -> None:
    lag = Histogram(LAG_BOUNDS)

    async def block_repeatedly() -> None:
        give_up = time.perf_counter() + BLOCK_SECONDS
        while time.perf_counter() < give_up:
            pass

    tasks: list[asyncio.Task[None]] = []
    asyncio.run(watch(lag, lambda loop: tasks.append(loop.create_task(block_repeatedly()))))

    assert seen(lag, SEEN_FROM_SECONDS) >= 1


def test_once_stopped_it_observes_no_more() -> None:
    lag = Histogram(LAG_BOUNDS)

    async def start_and_stop() -> int:
        watcher = LoopLag(lag)
        watcher.stop()
        watcher.start()
        await eventually(lambda: lag.count >= 1, what="a look")
        watcher.stop()
        before = lag.count
        await asyncio.sleep(3 * PERIOD_SECONDS)
        return before

    before = asyncio.run(start_and_stop())

    assert lag.count == before


def test_a_process_that_stood_still_shows_it_at_the_next_scrape(shared_redis: RedisServer) -> None:
    name = "kv_event_loop_lag_seconds"
    with service_process(KV_STORE_URL=shared_redis.url) as service:

        def lags() -> Scrape:
            return Scrape(fetch(f"{service.admin_base}/metrics", Accept=OPENMETRICS).body.decode())

        def longer(shown: Scrape) -> float:
            return shown.value(f"{name}_count") - shown.value(f"{name}_bucket", le="0.1")

        before = until(lambda: lags().value(f"{name}_count"), what="the first look")
        os.kill(service.pid, signal.SIGSTOP)
        time.sleep(BLOCK_SECONDS)
        os.kill(service.pid, signal.SIGCONT)
        until(lambda: longer(lags()) >= 1, what="the lag")

        assert lags().value(f"{name}_count") > before
