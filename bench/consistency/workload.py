"""Clients at a bounded rate, who write down all that they are told.

Steps of counters with and without idempotency keys, entries that one client writes and all read,
and entries that several compare and swap.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from .client import Answer, Client, Told
from .history import History, value_of
from .linearizability import Access

TEXT: Final = {"Content-Type": "text/plain"}
#: How long a step with a key is retried once no more are begun.
SETTLE_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """How many clients of each kind; each makes a request, waits, makes the next."""

    plain: int = 5
    keyed: int = 5
    writers: int = 4
    swappers: int = 4
    readers: int = 2
    pause_seconds: float = 0.05


@dataclass
class Workload:
    """The clients and their history; names begin with ``prefix``."""

    client: Client
    crowd: Crowd = field(default_factory=Crowd)
    prefix: str = "f"
    history: History = field(default_factory=History)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the clients asking until the block ends; then let each end what it began."""
        tasks = [asyncio.create_task(self._repeat(act)) for act in self._acts()]
        try:
            yield
            self._over.set()
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

    def _acts(self) -> list[Callable[[], Awaitable[None]]]:
        crowd = self.crowd
        acts: list[Callable[[], Awaitable[None]]] = []
        acts += [self.step for _ in range(crowd.plain)]
        acts += [self.step_once for _ in range(crowd.keyed)]
        acts += [lambda w=w: self.write(w) for w in range(crowd.writers)]  # type: ignore[misc]
        acts += [lambda w=w: self.swap(w) for w in range(crowd.swappers)]  # type: ignore[misc]
        acts += [self.read for _ in range(crowd.readers)]
        return acts

    async def _repeat(self, act: Callable[[], Awaitable[None]]) -> None:
        # Not all at the same moment.
        await asyncio.sleep(random.uniform(0, self.crowd.pause_seconds))
        while not self._over.is_set():
            await act()
            await asyncio.sleep(self.crowd.pause_seconds)

    async def step(self) -> None:
        """Add one, once, whatever is answered."""
        counter = random.choice(self.counters("plain"))
        told = await self.ask("POST", f"/v1/counters/{counter}/increments")
        tally = self.history.tally(counter)
        if told.outcome == "acknowledged" and told.answer is not None:
            tally.acknowledged += 1
            tally.values[self._value(counter, told.answer)] += 1
        elif told.outcome == "unknown":
            tally.unknown += 1

    async def step_once(self) -> None:
        """Add one under an idempotency key, again until it is acknowledged."""
        counter = random.choice(self.counters("keyed"))
        once = {"Idempotency-Key": f'"{self.prefix}-{next(self._numbers)}"'}
        tally = self.history.tally(counter, keyed=True)
        doubtful, give_up = False, math.inf
        loop = asyncio.get_running_loop()
        while loop.time() < give_up:
            told = await self.ask("POST", f"/v1/counters/{counter}/increments", headers=once)
            if told.outcome == "acknowledged" and told.answer is not None:
                tally.acknowledged += 1
                tally.values[self._value(counter, told.answer)] += 1
                return
            doubtful = doubtful or told.outcome == "unknown"
            if self._over.is_set() and give_up == math.inf:
                give_up = loop.time() + SETTLE_SECONDS
            await asyncio.sleep(self.crowd.pause_seconds)
        tally.unknown += doubtful

    async def write(self, writer: int) -> None:
        """Replace an entry that nobody else writes."""
        key = random.choice(self.owned(writer))
        value = value_of(key, f"w{writer}", next(self._numbers))
        told = await self.ask("PUT", f"/v1/kv/{key}", value.encode(), TEXT)
        if told.outcome == "refused":
            self.history.refused.add(value)
            return
        is_known = told.outcome == "acknowledged"
        self.history.saw(key, Access("write", told.called, told.returned, value, is_known=is_known))
        self._learn(told.answer, value if is_known else None)

    async def read(self) -> None:
        """Read an entry of anybody's."""
        owned = itertools.chain(*map(self.owned, range(self.crowd.writers)))
        await self.look(random.choice([*owned, *self.shared()]))

    async def look(self, key: str) -> tuple[str | None, str | None] | None:
        """Return an entry's value and ETag, None and None when missing; None without an answer."""
        told = await self.ask("GET", f"/v1/kv/{key}", expected=404)
        answer = told.answer
        if answer is None or answer.status not in {200, 404}:
            return None
        value = answer.body.decode("utf-8", "replace") if answer.status == 200 else None
        self.history.saw(key, Access("read", told.called, told.returned, value))
        self._learn(answer, value)
        return value, answer.headers.get("etag")

    async def swap(self, writer: int) -> None:
        """Read an entry, and replace it unless somebody else was faster."""
        key = random.choice(self.shared())
        found = await self.look(key)
        if found is None:
            return
        expected, etag = found
        value = value_of(key, f"s{writer}", next(self._numbers))
        condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        told = await self.ask(
            "PUT", f"/v1/kv/{key}", value.encode(), {**TEXT, **condition}, expected=412
        )
        if told.answer is not None and told.answer.status == 412:
            seen = told.answer.headers.get("etag")
            self.history.refused.add(value)
            miss = Access(
                "miss", told.called, told.returned, None, expected, is_seen=seen is not None
            )
            self.history.saw(key, miss, seen)
        elif told.outcome == "refused":
            self.history.refused.add(value)
        else:
            is_known = told.outcome == "acknowledged"
            access = Access("swap", told.called, told.returned, value, expected, is_known=is_known)
            self.history.saw(key, access)
            self._learn(told.answer, value if is_known else None)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        expected: int = 200,
    ) -> Told:
        """Ask and note how it went; a failure that no fault excuses is wrong."""
        told = await self.client.ask(method, path, body, headers)
        history = self.history
        history.moments.append((told.returned, not told.is_excused))
        answer = told.answer
        if answer is not None and answer.status == expected:
            history.outcomes["acknowledged"] += 1
            return told
        history.outcomes[told.outcome] += 1
        if answer is not None and answer.status >= 400 and not told.is_excused:
            history.wrong.append(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
        return told

    def _learn(self, answer: Answer | None, value: str | None) -> None:
        if answer is None or value is None:
            return
        etag = answer.headers.get("etag")
        if etag is None:
            self.history.wrong.append(f"no ETag with {value}")
        elif self.history.etags.setdefault(etag, value) != value:
            self.history.wrong.append(f"{etag} stands for {value} and another value")

    def _value(self, counter: str, answer: Answer) -> int:
        body = answer.json
        if body["name"] != counter:
            self.history.wrong.append(f"{counter} was answered for {body['name']}")
        return int(body["value"])
