"""The faults of ``bench.faults`` under watch: who is told what, how late, and in which order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

import redis

from bench.consistency.client import Answer, Client
from bench.consistency.workload import Workload
from bench.faults.experiment import Fault
from bench.faults.experiment import Sizes as FaultSizes
from bench.faults.injections import FAULTS
from bench.faults.injections.setups import System, on_redis
from bench.frame.errors import BenchError
from bench.frame.program import Run, say
from bench.frame.rows import Row

from . import sizes as limits
from .sizes import Sizes
from .watcher import Watcher

NAMES: Final = 8
JSON: Final = {"Content-Type": "application/json"}
PAUSE_SECONDS: Final = 0.02
END_SECONDS: Final = 10.0
PATHS: Final = (
    "/v1/kv?prefix=w/&include=value",
    "/v1/kv/w/0",
    "/v1/counters?prefix=w:",
    "/v1/counters/w:0",
)
#: Those that say something about watches.
CHOSEN: Final = (
    "service-rolling",
    "redis-kill-always",
    "redis-kill-everysec",
    "redis-loading",
    "redis-pause",
    "redis-slow",
    "network-cut",
    "network-silent",
    "network-half-open",
    "network-loss",
    "sentinel-failover",
    "cluster-failover",
    "cluster-migration",
)


async def kill_subscribers(system: System, _: Workload) -> None:
    for _number in range(round(system.sizes.fault_seconds / 0.1)):
        await system.redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.sleep(0.1)


KILLED: Final = Fault(
    "subscriber-kill", "Redis: CLIENT KILL of the subscriptions", on_redis(kill_subscribers)
)
ALL: Final = (KILLED, *(fault for fault in FAULTS if fault.name in CHOSEN))


@dataclass
class Writers:
    """Writes growing numbers into entries and counters, and notes when each was acknowledged."""

    client: Client
    acknowledged: list[tuple[str, int, float]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._write(name, path))
            for number in range(NAMES)
            for name, path in (
                (f"w/{number}", f"/v1/kv/w/{number}"),
                (f"w:{number}", f"/v1/counters/w:{number}"),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, name: str, path: str) -> None:
        number = 0
        while True:
            number += 1
            body = f'{{"value":{number}}}' if "counters" in path else str(number)
            reply = await self.client.send("PUT", path, body.encode(), JSON)
            if reply.answer is not None and reply.answer.status in {200, 201}:
                self.acknowledged.append((name, number, reply.returned))
            await asyncio.sleep(PAUSE_SECONDS)

    async def stored(self) -> dict[str, int]:
        """Return what the store has in the end."""
        found = {}
        for number in range(NAMES):
            for name, path in ((f"w/{number}", "/v1/kv/"), (f"w:{number}", "/v1/counters/")):
                answer = await self._read(path + name)
                if answer.status == 200:
                    found[name] = int(answer.json if "kv" in path else answer.json["value"])
        return found

    async def _read(self, path: str) -> Answer:
        end = asyncio.get_running_loop().time() + END_SECONDS
        while asyncio.get_running_loop().time() < end:
            answer = (await self.client.send("GET", path)).answer
            if answer is not None and answer.status in {200, 404}:
                return answer
            await asyncio.sleep(PAUSE_SECONDS)
        raise BenchError(f"{path} can't be read")


def watch_fault(fault: Fault, run: Run[Sizes]) -> Iterator[Row]:
    """Watch through the fault; raise BenchError, Unavailable."""
    say(fault.title)
    try:
        yield from asyncio.run(_experiment(fault, run))
    except redis.RedisError as error:
        raise BenchError(str(error)) from error


async def _experiment(fault: Fault, run: Run[Sizes]) -> list[Row]:
    loop = asyncio.get_running_loop()
    of_fault: Run[FaultSizes] = Run(run.sizes, run.directory, run.cores)
    async with fault.setup(of_fault) as target, contextlib.AsyncExitStack() as stack:
        ports = [service.port for service in target.services]
        client = Client(ports)
        stack.push_async_callback(client.close)
        writers = Writers(client)
        watchers = [
            Watcher([*ports[number % len(ports) :], *ports[: number % len(ports)]], path)
            for number, path in enumerate(PATHS * 2)
        ]
        for watcher in watchers:
            await stack.enter_async_context(watcher.watching())
        async with writers.writing():
            await asyncio.sleep(run.sizes.before_seconds)
            began = loop.time()
            await target.inject(Workload(client))
            healed = loop.time()
            await asyncio.sleep(run.sizes.after_seconds)
        end = loop.time() + END_SECONDS
        while True:
            # Read anew each time: a write whose client has given up may be applied yet.
            stored = await writers.stored()
            wrong = sum(_differ(watcher, stored) for watcher in watchers)
            if not wrong or loop.time() >= end:
                break
            await asyncio.sleep(0.01)
    changes = writers.acknowledged
    if not fault.is_durable:  # what was lost is told to nobody
        changes = [change for change in changes if change[2] > healed]
    late = max((lateness(w, changes, began, healed) for w in watchers), default=0.0)
    told = sum(len(watcher.told) for watcher in watchers)
    note = f"{fault.title}; {len(writers.acknowledged):,} changes, {told:,} events"
    resets = sum(watcher.resets for watcher in watchers)
    connections = sum(watcher.connections for watcher in watchers) - len(watchers)
    backwards = sum(watcher.reversed for watcher in watchers)
    return [
        Row("told at most late by", late, "s", limits.LATE_SECONDS, note),
        Row("told in reverse", backwards, "", limits.REVERSED if fault.is_durable else None),
        Row("watchers that are wrong at the end", wrong, "", limits.WRONG_AT_THE_END),
        Row("resets", resets, "", note=f"{connections} connections again"),
    ]


def _is_watched(watcher: Watcher, name: str) -> bool:
    kind, _, rest = watcher.path.removeprefix("/v1/").partition("?")
    if rest:
        return name.startswith("w/" if kind == "kv" else "w:")
    return kind.partition("/")[2] == name


def _differ(watcher: Watcher, stored: dict[str, int]) -> bool:
    wanted = {name: value for name, value in stored.items() if _is_watched(watcher, name)}
    return watcher.state != wanted


def lateness(
    watcher: Watcher, changes: list[tuple[str, int, float]], began: float, healed: float
) -> float:
    """Return the longest time that a change, or a later one of its name, was not told.

    For what was acknowledged during the fault it counts from the fault's end.
    """
    latest = 0.0
    by_name: dict[str, list[tuple[int, float]]] = {}
    for name, value, when in watcher.told:
        by_name.setdefault(name, []).append((value, when))
    for name, number, acknowledged in changes:
        if not _is_watched(watcher, name):
            continue
        # A watcher that began after it was told it, or a later one, as the present state.
        told = [when for value, when in by_name.get(name, ()) if value >= number]
        when = min(told, default=float("inf"))
        since = max(acknowledged, healed) if acknowledged >= began - 1 else acknowledged
        latest = max(latest, when - since)
    return latest
