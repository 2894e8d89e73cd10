"""A retry storm: three tiers of three attempts each, at twice the capacity of the service.

It is measured with a slow store, where the service's concurrency limit is the bottleneck and a
refusal costs next to nothing; and with a busy CPU, which refusals use as well, as do requests that
a tier gives up before they are served. A client on the same machine has too little CPU time for a
full storm of the second kind. So what a refusal costs is measured too, and how many attempts of
each call that allows. Beyond them, callers need retry budgets, or must obey Retry-After.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import uvloop

from bench.frame.processes import running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.http_client import exchange
from bench.testbed.operations import batch_request, render_request
from bench.testbed.servers import Redis, Service

from . import limits
from .experiment import Sizes
from .injections.setups import running_behind
from .network_proxy import running_proxy
from .refusal_cost import Costs, measure_costs
from .retrying_tiers import Tiers

OVERLOAD: Final = 2.0
#: Until the storm is at full strength. Not counted.
RAMP_SECONDS: Final = 2.0
#: Added to the store's answers, each way.
STORE_DELAY_SECONDS: Final = 0.05
CONCURRENCY_WITH_SLOW_STORE: Final = 4
#: Reads in a request that takes some milliseconds of CPU time.
BATCH: Final = 200
#: A batch makes several round trips to the store, each behind the refusals that arrived meanwhile.
#: With little concurrency the CPU then idles.
CONCURRENCY_WITH_BUSY_CPU: Final = 128
GETS: Final = f"a batch of {BATCH} gets"
GET: Final = "a GET"
REQUESTS: Final = {
    GETS: batch_request({"op": "get", "key": "k"} for _ in range(BATCH)),
    GET: render_request("GET", "/v1/kv/k"),
}


@dataclass(frozen=True, slots=True)
class Goodput:
    """Successes per second, and per second of the service's CPU time."""

    per_second: float
    per_cpu_second: float


@dataclass(frozen=True, slots=True)
class Comparison:
    peak: Goodput
    storm: Goodput
    attempts_per_request: float

    @property
    def note(self) -> str:
        return (
            f"{self.storm.per_second:,.0f} of {self.peak.per_second:,.0f} a second,"
            f" {self.attempts_per_request:.1f} attempts for each request"
        )


def measure_retry_storm(run: Run[Sizes]) -> Iterator[Row]:
    """Measure the goodput at twice the capacity ÷ the peak; raise BenchError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_with_slow_store(run.sizes.storm_seconds))
        ratio = found.storm.per_second / found.peak.per_second
        title = f"slow store: goodput at {OVERLOAD:g} times the capacity ÷ peak"
        yield Row(title, ratio, "times", limits.RETRY_STORM_GOODPUT, found.note)
        # By CPU time: other programs take some of the service's.
        found = runner.run(_with_busy_cpu(run.sizes.storm_seconds))
        ratio = found.storm.per_cpu_second / found.peak.per_cpu_second
        limit = limits.RETRY_STORM_GOODPUT
        yield Row("busy CPU: the same, by CPU time", ratio, "times", limit, found.note)
        yield from _refusals(runner.run(measure_costs(REQUESTS, run.sizes.storm_seconds)))


def _refusals(costs: Mapping[str, Costs]) -> Iterator[Row]:
    for title, limit in (
        (GETS, limits.REFUSAL_COST),
        (GET, limits.REFUSAL_COST_OF_GET),
    ):
        cost = costs[title]
        yield Row(f"{title}: CPU time of a refusal ÷ answer", cost.ratio, "times", limit, cost.note)
        goodput = limits.RETRY_STORM_GOODPUT.bound
        attempts = cost.attempts_at(goodput, OVERLOAD)
        note = f"more, and the CPU has no time for {goodput:g} of the peak at {OVERLOAD:g} times it"
        yield Row(f"{title}: attempts of a call that this allows", attempts, "", None, note)


async def _with_slow_store(seconds: float) -> Comparison:
    settings = {"KV_MAX_IN_FLIGHT": str(CONCURRENCY_WITH_SLOW_STORE)}
    with running(Redis()) as redis:
        async with (
            running_proxy(redis.port) as proxy,
            running_behind(proxy, **settings) as service,
        ):
            put = render_request("PUT", "/v1/kv/k", b"v")
            await asyncio.to_thread(exchange, service.port, put)
            proxy.delay_seconds = STORE_DELAY_SECONDS
            get = render_request("GET", "/v1/kv/k")
            return await _compare(service, get, CONCURRENCY_WITH_SLOW_STORE, seconds)


async def _with_busy_cpu(seconds: float) -> Comparison:
    settings = {"KV_MAX_IN_FLIGHT": str(CONCURRENCY_WITH_BUSY_CPU)}
    with running(Redis()) as redis, running(Service(redis.url, settings)) as service:
        return await _compare(service, REQUESTS[GETS], CONCURRENCY_WITH_BUSY_CPU, seconds)


async def _compare(
    service: Service, request: bytes, concurrency: int, seconds: float
) -> Comparison:
    tiers = Tiers(service.port, request)
    try:
        peak = await _closed_loop(tiers, service, concurrency, seconds)
        rate = OVERLOAD * peak.per_second
        say(f"peak {peak.per_second:,.0f} a second; now {rate:,.0f} arrive")
        before = tiers.attempts
        storm, arrived = await _open_loop(tiers, service, rate, seconds)
        return Comparison(peak, storm, (tiers.attempts - before) / arrived)
    finally:
        tiers.close()


async def _closed_loop(tiers: Tiers, service: Service, concurrency: int, seconds: float) -> Goodput:
    """Send without tiers, with this many requests in flight at all times."""
    loop = asyncio.get_running_loop()
    begin, used = loop.time(), service.cpu_seconds()
    end, served = begin + seconds, 0

    async def send() -> None:
        nonlocal served
        while loop.time() < end:
            succeeded = await tiers.send(0)
            served += succeeded

    await asyncio.gather(*(send() for _ in range(concurrency)))
    return Goodput(served / (loop.time() - begin), served / (service.cpu_seconds() - used))


async def _open_loop(
    tiers: Tiers, service: Service, rate: float, seconds: float
) -> tuple[Goodput, int]:
    """Let requests arrive as a Poisson process, however long the answers take.

    Return the goodput after the ramp, and the number of all requests.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time() + RAMP_SECONDS
    end, served, arrived, used = begin + seconds, 0, 0, -1.0
    pending: set[asyncio.Task[None]] = set()

    async def send() -> None:
        nonlocal served
        succeeded = await tiers.send()
        served += succeeded and begin <= loop.time() < end

    due = loop.time()
    while due < end:
        await asyncio.sleep(max(0.0, due - loop.time()))
        if used < 0 and due >= begin:
            used = service.cpu_seconds()
        task = asyncio.create_task(send())
        pending.add(task)
        task.add_done_callback(pending.discard)
        arrived += 1
        due += random.expovariate(rate)
    used = service.cpu_seconds() - used
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return Goodput(served / seconds, served / used), arrived
