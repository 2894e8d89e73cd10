"""A retry storm: three tiers of three attempts each, at twice what the service can do.

Twice: where the store is slow, so that the places of a pod are scarce and refusals cost next to
nothing, and where the pod's processor is scarce, which refusals take as well, and requests that a
tier has given up by the time they are served. The second is shown and held to no limit: a client on
the same machine has not the processor time for a storm at full strength, and up to 27 refusals for
each request that fails would have to cost a two hundredth of one that succeeds, where they cost a
tenth. Against that, callers need retry budgets, or to heed Retry-After.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from bench.frame.report import Row, say
from bench.testbed.operations import batch, request

from ..consistency.client import Client
from ..testbed.restartable import Service, running_redis, running_services
from . import limits
from .network_proxy import running_network
from .retrying_tiers import Tiers

TIMES: Final = 2.0
#: Until the storm is at its full strength, not counted.
RISE_SECONDS: Final = 2.0
#: Added to the store's answers, each way.
SLOW_SECONDS: Final = 0.05
PLACES_BEFORE_SLOW_STORE: Final = 4
#: Reads in a request that takes the processor some milliseconds.
BATCH: Final = 200
#: A batch goes to the store several times, each time behind all refusals that came meanwhile: too
#: few places stand empty then. With 16 the goodput falls to a fifth.
PLACES_BEFORE_BATCHES: Final = 128


@dataclass(frozen=True, slots=True)
class Goodput:
    """Successes by the second, and by the second of the service's processor time."""

    per_second: float
    per_cpu_second: float


def measure_storm(directory: Path, seconds: float) -> list[Row]:
    """Return the goodput at twice the capacity in units of the peak; raises BenchError."""
    slow, busy = directory / "slow", directory / "busy"
    slow.mkdir()
    busy.mkdir()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return [
            runner.run(_measure_slow_store(slow, seconds)),
            runner.run(_measure_busy(busy, seconds)),
        ]


async def _measure_slow_store(directory: Path, seconds: float) -> Row:
    async with running_redis(directory) as redis, running_network(redis.port) as network:
        url = f"redis://127.0.0.1:{network.port}"
        places = str(PLACES_BEFORE_SLOW_STORE)
        async with running_services(directory, url, KV_MAX_IN_FLIGHT=places) as services:
            client = Client([services[0].port])
            await client.ask("PUT", "/v1/kv/k", b"v")
            await client.close()
            network.delay_seconds = SLOW_SECONDS
            get = request("GET", "/v1/kv/k")
            peak, storm, tries = await _compare(services[0], get, PLACES_BEFORE_SLOW_STORE, seconds)
    ratio = storm.per_second / peak.per_second
    return Row(
        f"retry storm, slow store: goodput at {TIMES:g} times the capacity, in peaks",
        (f"{ratio:.2f}", _beside(peak, storm, tries)),
        ratio,
        limits.STORM_GOODPUT,
    )


async def _measure_busy(directory: Path, seconds: float) -> Row:
    """By processor time, of which the service has less while others use the machine."""
    places = str(PLACES_BEFORE_BATCHES)
    async with (
        running_redis(directory) as redis,
        running_services(directory, redis.url, KV_MAX_IN_FLIGHT=places) as services,
    ):
        gets = batch({"op": "get", "key": "k"} for _ in range(BATCH))
        peak, storm, tries = await _compare(services[0], gets, PLACES_BEFORE_BATCHES, seconds)
    ratio = storm.per_cpu_second / peak.per_cpu_second
    return Row(
        "retry storm, busy processor: the same, by processor time",
        (f"{ratio:.2f}", _beside(peak, storm, tries)),
        ratio,
    )


def _beside(peak: Goodput, storm: Goodput, tries: float) -> str:
    return f"{storm.per_second:,.0f} of {peak.per_second:,.0f} a second, {tries:.1f} tries each"


async def _compare(
    service: Service, what: bytes, places: int, seconds: float
) -> tuple[Goodput, Goodput, float]:
    """Return the peak, the goodput in the storm, and how often each request was tried."""
    tiers = Tiers(service.port, what)
    try:
        peak = await _closed(tiers, service, places, seconds)
        rate = TIMES * peak.per_second
        say(f"retry-storm: {peak.per_second:,.0f} a second at most; now {rate:,.0f}")
        before = tiers.attempts
        storm, asked = await _open(tiers, service, rate, seconds)
        return peak, storm, (tiers.attempts - before) / asked
    finally:
        tiers.close()


async def _closed(tiers: Tiers, service: Service, loops: int, seconds: float) -> Goodput:
    """Ask as fast as answers come, as many as there are places."""
    loop = asyncio.get_running_loop()
    begin, used = loop.time(), service.cpu_seconds()
    end, served = begin + seconds, 0

    async def ask() -> None:
        nonlocal served
        while loop.time() < end:
            succeeded = await tiers.ask(0)
            served += succeeded

    await asyncio.gather(*(ask() for _ in range(loops)))
    return Goodput(served / (loop.time() - begin), served / (service.cpu_seconds() - used))


async def _open(tiers: Tiers, service: Service, rate: float, seconds: float) -> tuple[Goodput, int]:
    """Let requests arrive at random moments, whatever becomes of the earlier ones.

    Return the goodput once the storm has risen, and how many requests arrived in all.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time() + RISE_SECONDS
    end, served, asked, used = begin + seconds, 0, 0, -1.0
    waits: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        nonlocal served
        succeeded = await tiers.ask()
        served += succeeded and begin <= loop.time() < end

    due = loop.time()
    while due < end:
        await asyncio.sleep(max(0.0, due - loop.time()))
        if used < 0 and due >= begin:
            used = service.cpu_seconds()
        task = asyncio.create_task(ask())
        waits.add(task)
        task.add_done_callback(waits.discard)
        asked += 1
        due += random.expovariate(rate)
    used = service.cpu_seconds() - used
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    return Goodput(served / seconds, served / used), asked
