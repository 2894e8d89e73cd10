"""One experiment: traffic, the fault, recovery, and a check of the clients' history."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import redis

from bench.consistency.checker import Verdict
from bench.consistency.client import Client
from bench.consistency.final_state import check_against_store
from bench.consistency.workload import Workload
from bench.frame.errors import BenchError
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.servers import Service

from . import limits
from .event_loop_lag import EventLoopLag, MachineLag

#: The service has recovered when no request has failed for this long.
CALM_SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How long everything takes, in seconds. The defaults are the full measurement."""

    #: Traffic before the fault.
    before_seconds: float = 2.0
    fault_seconds: float = 3.0
    #: Traffic after the fault: longer than recovery may take.
    after_seconds: float = 4.0
    #: The long pause of Redis.
    long_pause_seconds: float = 20.0
    idle_connections: int = 10_000
    #: Each load of the retry storm.
    storm_seconds: float = 5.0


@dataclass(frozen=True)
class Target:
    """Running services, and ``inject``, which returns when the cause of the fault is gone."""

    services: Sequence[Service]
    inject: Callable[[Workload], Awaitable[None]]


Setup = Callable[[Run[Sizes]], AbstractAsyncContextManager[Target]]


@dataclass(frozen=True)
class Fault:
    """A kind of fault. ``setup`` starts everything that the fault needs; it raises Unavailable."""

    name: str
    title: str
    setup: Setup
    #: Whether no acknowledged change may be lost or applied twice.
    is_durable: bool = True
    #: What is promised where it is not.
    promise: str = ""


@dataclass(frozen=True)
class Result:
    """What a fault caused."""

    fault: Fault
    verdict: Verdict
    #: From the end of the cause to the last failure before a calm second.
    recovery_seconds: float
    lag_p99_seconds: float
    #: The lag that the machine itself caused at that time.
    machine_p99_seconds: float

    def rows(self) -> Iterator[Row]:
        verdict, durable = self.verdict, self.fault.is_durable
        note = f"{self.fault.title}; {verdict.refused:,} refused, {verdict.unknown:,} unknown"
        yield Row("acknowledged", verdict.acknowledged, "requests", limits.ACKNOWLEDGED, note)
        for title, value, limit in (
            ("lost", verdict.lost, limits.LOST),
            ("duplicated", verdict.duplicated, limits.DUPLICATED),
            ("not linearizable", verdict.nonlinearizable, limits.NONLINEARIZABLE),
        ):
            yield Row(title, value, "", limit if durable else None, self.fault.promise)
        yield Row("unexpected", verdict.unexpected, "", limits.UNEXPECTED)
        yield Row("recovery", self.recovery_seconds, "s", limits.RECOVERY_SECONDS)
        lag_ms, machine_ms = self.lag_p99_seconds * 1e3, self.machine_p99_seconds * 1e3
        note = f"{lag_ms:.1f} less the machine's own {machine_ms:.1f}"
        own_ms = max(0.0, lag_ms - machine_ms)
        yield Row("event loop lag, p99", own_ms, "ms", limits.LAG_P99_MS, note)


def measure_fault(fault: Fault, run: Run[Sizes]) -> Iterator[Row]:
    """Inject the fault; raise BenchError, Unavailable."""
    say(fault.title)
    try:
        yield from asyncio.run(experiment(fault, run)).rows()
    except redis.RedisError as error:
        raise BenchError(str(error)) from error


async def experiment(fault: Fault, run: Run[Sizes]) -> Result:
    """Inject the fault under load; raise BenchError, Unavailable, redis.RedisError."""
    loop = asyncio.get_running_loop()
    async with fault.setup(run) as target:
        client = Client([each.port for each in target.services])
        workload = Workload(client)
        lag, machine = EventLoopLag(target.services), MachineLag()
        try:
            with machine.measuring():
                async with lag.measuring(), workload.running():
                    await asyncio.sleep(run.sizes.before_seconds)
                    await target.inject(workload)
                    healed = loop.time()
                    await asyncio.sleep(run.sizes.after_seconds)
            verdict = await check_against_store(client, workload.history)
        finally:
            await client.close()
    for reason in verdict.reasons[:5]:
        say(f"{fault.name}: {reason}")
    recovery = recovery_seconds(workload.history.returns, healed)
    return Result(fault, verdict, recovery, lag.p99_seconds, machine.p99_seconds)


def recovery_seconds(returns: Sequence[tuple[float, bool]], healed: float) -> float:
    """Return how long requests went on failing after ``healed``; infinite without a calm second.

    ``returns`` holds the time of each answer, and whether the request succeeded.
    """
    ordered = sorted(returns)
    times = [when for when, _ in ordered]
    end = times[-1] if times else healed
    last = healed
    for when, succeeded in ordered[bisect_right(times, healed) :]:
        if when - last >= CALM_SECONDS:
            break
        if not succeeded:
            last = when
    return last - healed if end - last >= CALM_SECONDS else float("inf")
