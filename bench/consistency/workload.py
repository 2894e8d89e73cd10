"""Concurrent clients with a bounded rate, which record all operations in a history.

Clients increment counters with and without idempotency keys, write entries of their own, compare
and swap shared entries, and read both.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from .client import Answer, Client, Reply
from .history import CounterHistory, History, value_of
from .linearizability import Operation

TEXT: Final = {"Content-Type": "text/plain"}
#: How long an increment with a key is retried after the end of the workload.
LAST_RETRY_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class ClientCounts:
    """The number of clients of each kind. Each sends a request, pauses, and sends the next."""

    incrementers: int = 5
    keyed_incrementers: int = 5
    writers: int = 4
    swappers: int = 4
    readers: int = 2
    pause_seconds: float = 0.05


@dataclass
class Workload:
    """The clients and their history. All names begin with ``prefix``."""

    client: Client
    counts: ClientCounts = field(default_factory=ClientCounts)
    prefix: str = "f"
    history: History = field(default_factory=History)
    _is_over: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the clients until the block ends, then wait for the requests in flight."""
        tasks = [asyncio.create_task(self._repeat(act)) for act in self._clients()]
        try:
            yield
            self._is_over.set()
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def counters(self, kind: str) -> list[str]:
        return [f"{self.prefix}-{kind}-{i}" for i in range(2)]

    def owned(self, writer: int) -> list[str]:
        return [f"{self.prefix}/own-{writer}-{i}" for i in range(3)]

    def shared(self) -> list[str]:
        return [f"{self.prefix}/shared-{i}" for i in range(2)]

    def _clients(self) -> list[Callable[[], Awaitable[None]]]:
        counts = self.counts
        return [
            *itertools.repeat(self.increment, counts.incrementers),
            *itertools.repeat(self.increment_with_key, counts.keyed_incrementers),
            *(partial(self.write, number) for number in range(counts.writers)),
            *(partial(self.compare_and_swap, number) for number in range(counts.swappers)),
            *itertools.repeat(self.read_any, counts.readers),
        ]

    async def _repeat(self, act: Callable[[], Awaitable[None]]) -> None:
        # Clients start at different times.
        await asyncio.sleep(random.uniform(0, self.counts.pause_seconds))
        while not self._is_over.is_set():
            await act()
            await asyncio.sleep(self.counts.pause_seconds)

    async def increment(self) -> None:
        """Add one, without a retry."""
        name = random.choice(self.counters("plain"))
        counter = self.history.counter(name)
        reply = await self.send("POST", f"/v1/counters/{name}/increments")
        if not self._is_acknowledged(counter, name, reply):
            counter.unknown += reply.outcome == "unknown"

    async def increment_with_key(self) -> None:
        """Add one with an idempotency key. Retry until it is acknowledged."""
        name = random.choice(self.counters("keyed"))
        headers = {"Idempotency-Key": f'"{self.prefix}-{next(self._numbers)}"'}
        counter = self.history.counter(name, keyed=True)
        was_unknown, deadline = False, math.inf
        loop = asyncio.get_running_loop()
        while loop.time() < deadline:
            reply = await self.send("POST", f"/v1/counters/{name}/increments", headers=headers)
            if self._is_acknowledged(counter, name, reply):
                return
            was_unknown = was_unknown or reply.outcome == "unknown"
            if self._is_over.is_set() and deadline == math.inf:
                deadline = loop.time() + LAST_RETRY_SECONDS
            await asyncio.sleep(self.counts.pause_seconds)
        counter.unknown += was_unknown

    async def write(self, writer: int) -> None:
        """Replace an entry that no other client writes."""
        key = random.choice(self.owned(writer))
        value = value_of(key, f"w{writer}", next(self._numbers))
        reply = await self.send("PUT", f"/v1/kv/{key}", value.encode(), TEXT)
        self._record_change(key, reply, Operation("write", reply.called, reply.returned, value))

    async def read_any(self) -> None:
        """Read one of all entries."""
        owned = itertools.chain(*map(self.owned, range(self.counts.writers)))
        await self.read(random.choice([*owned, *self.shared()]))

    async def read(self, key: str) -> tuple[str | None, str | None] | None:
        """Return an entry's value and ETag, both None if it is missing; None without an answer."""
        reply = await self.send("GET", f"/v1/kv/{key}", expected=404)
        answer = reply.answer
        if answer is None or answer.status not in {200, 404}:
            return None
        value = answer.body.decode("utf-8", "replace") if answer.status == 200 else None
        self.history.add(key, Operation("read", reply.called, reply.returned, value))
        self._record_etag(answer, value)
        return value, answer.headers.get("etag")

    async def compare_and_swap(self, writer: int) -> None:
        """Read a shared entry, and replace it unless it changed in between."""
        key = random.choice(self.shared())
        found = await self.read(key)
        if found is None:
            return
        expected, etag = found
        value = value_of(key, f"s{writer}", next(self._numbers))
        condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        headers = {**TEXT, **condition}
        reply = await self.send("PUT", f"/v1/kv/{key}", value.encode(), headers, expected=412)
        times = reply.called, reply.returned
        if reply.answer is not None and reply.answer.status == 412:
            seen = reply.answer.headers.get("etag")
            self.history.refused.add(value)
            failed = Operation("failed cas", *times, None, expected, is_seen=False, etag=seen)
            self.history.add(key, failed)
        else:
            self._record_change(key, reply, Operation("cas", *times, value, expected))

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        expected: int = 200,
    ) -> Reply:
        """Send a request and record its outcome. A status of ``expected`` is a success."""
        reply = await self.client.send(method, path, body, headers)
        history = self.history
        history.returns.append((reply.returned, not reply.is_excused))
        answer = reply.answer
        if answer is not None and answer.status == expected:
            history.outcomes["acknowledged"] += 1
            return reply
        history.outcomes[reply.outcome] += 1
        if answer is not None and answer.status >= 400 and not reply.is_excused:
            history.unexpected.append(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
        return reply

    def _is_acknowledged(self, counter: CounterHistory, name: str, reply: Reply) -> bool:
        """Record an acknowledged increment; return False for any other."""
        if reply.outcome != "acknowledged" or reply.answer is None:
            return False
        body = reply.answer.json
        if body["name"] != name:
            self.history.unexpected.append(f"{name} was answered for {body['name']}")
        counter.acknowledged += 1
        counter.values[int(body["value"])] += 1
        return True

    def _record_change(self, key: str, reply: Reply, operation: Operation) -> None:
        """Record a write or a swap, whatever its outcome."""
        if reply.outcome == "refused":
            self.history.refused.add(str(operation.value))
        elif reply.outcome == "unknown":
            self.history.add(key, replace(operation, is_known=False))
        else:
            self.history.add(key, operation)
            self._record_etag(reply.answer, operation.value)

    def _record_etag(self, answer: Answer | None, value: str | None) -> None:
        if answer is None or value is None:
            return
        etag = answer.headers.get("etag")
        if etag is None:
            self.history.unexpected.append(f"no ETag with {value}")
        elif self.history.values.setdefault(etag, value) != value:
            self.history.unexpected.append(f"{etag} stands for {value} and another value")
