"""Concurrent requests of one loop turn, sent as one command.

What Redis costs this process is by the round trip, so the reads that one turn of the event loop
brings travel as one MGET, the plain writes and the plain steps as one script each. A batch is
sealed after every request in it arrived, so nothing is answered with what was read before it asked.
While a lane's round trip is under way the next batch grows: the busier the service, the larger the
batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar

from ..domain.errors import CounterOverflow, DomainError, OutcomeUnknown, StoreUnavailable
from ..domain.model import (
    INT64_MAX,
    INT64_MIN,
    Added,
    CounterName,
    Draft,
    Entry,
    Increment,
    Key,
    Operation,
    Precondition,
    Written,
)
from ..telemetry.store_meter import LaneMeter, StoreMeter
from .link import Link
from .redis import RedisStore

#: Round trips a lane has under way: one, since more only make batches smaller; but when one takes
#: longer than PATIENCE_SECONDS (a lost packet, a large answer), others no longer wait for it.
IN_FLIGHT: Final = 1
MAX_IN_FLIGHT: Final = 8
PATIENCE_SECONDS: Final = 0.005
#: What one round trip carries, at most: one large answer must not hold the others up for long.
MAX_BATCH: Final = 128
MAX_BATCH_BYTES: Final = 1 << 20
MAX_ANSWER_BYTES: Final = 8 << 20

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lane(Generic[Item, Result]):
    """Gathers items of one loop turn and hands them to ``send`` together."""

    def __init__(
        self,
        send: Callable[[list[Item], float], Awaitable[Sequence[Result | DomainError]]],
        *,
        lost: type[DomainError],
        timeout_seconds: float,
        weigh: Callable[[Item], int] | None = None,
        meter: LaneMeter | None = None,
    ) -> None:
        self._send = send
        self._meter = meter
        self._lost = lost
        self._timeout = timeout_seconds
        self._weigh = weigh
        self._loop = asyncio.get_running_loop()
        self._context = Context()
        self._waiting: list[tuple[Item, asyncio.Future[Result], float]] = []
        self._scheduled = False
        self._in_flight: set[asyncio.Task[None]] = set()
        #: How large an answer is expected to be, for those who submit to say.
        self.answer_bytes = 1
        self._impatience: asyncio.TimerHandle | None = None

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Return the future of the item's result; it fails with a DomainError."""
        future: asyncio.Future[Result] = self._loop.create_future()
        self._waiting.append((item, future, self._loop.time()))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._seal)
        return future

    def _seal(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._in_flight) < IN_FLIGHT:
            self._launch()
        if self._waiting and self._impatience is None:
            self._impatience = self._loop.call_later(PATIENCE_SECONDS, self._overtake)

    def _overtake(self) -> None:
        self._impatience = None
        if self._waiting and len(self._in_flight) < MAX_IN_FLIGHT:
            self._launch()
        self._seal()

    def _launch(self) -> None:
        # In no request's context: what is logged there is not about one alone.
        task = self._loop.create_task(self._run(self._next_batch()), context=self._context)
        self._in_flight.add(task)
        task.add_done_callback(self._landed)

    def _next_batch(self) -> list[tuple[Item, asyncio.Future[Result], float]]:
        size = min(len(self._waiting), MAX_BATCH, max(1, MAX_ANSWER_BYTES // self.answer_bytes))
        if self._weigh is not None:
            weight = 0
            for i in range(size):
                weight += self._weigh(self._waiting[i][0])
                if weight > MAX_BATCH_BYTES and i > 0:
                    size = i
                    break
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        return batch

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
        if self._waiting:
            self._seal()

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result], float]]) -> None:
        # Behind a stalled round trip, what is left of the time may not be worth a try: better a
        # refusal that surely changed nothing than a change whose outcome nobody will learn.
        too_old = self._loop.time() - self._timeout * 0.9
        if batch[0][2] < too_old:
            for _, future, since in batch:
                if since < too_old and not future.done():
                    future.set_exception(StoreUnavailable("the store did not answer in time"))
            batch = [waiting for waiting in batch if waiting[2] >= too_old]
            if not batch:
                return
        drawn = None if self._meter is None else self._meter.launch(batch)
        try:
            results = await self._send([item for item, _, _ in batch], batch[0][2] + self._timeout)
            if len(results) != len(batch):
                raise RuntimeError("as many results as items")  # noqa: TRY301
        except DomainError as error:
            results = [error.again() for _ in batch]
        except BaseException:
            # Cancelled, or a defect: whoever waits must not wait for ever, nor be told a lie.
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(self._lost("the service failed in the middle"))
            raise
        finally:
            if drawn is not None:
                drawn.end()
        for (_, future, _), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, DomainError):
                future.set_exception(result)
            else:
                future.set_result(result)


class CoalescingStore(RedisStore):
    """Fills the port: a RedisStore whose plain single operations share round trips."""

    def __init__(
        self,
        link: Link,
        *,
        timeout_seconds: float,
        operation_ttl_seconds: int,
        meter: StoreMeter | None = None,
    ) -> None:
        super().__init__(
            link, timeout_seconds=timeout_seconds, operation_ttl_seconds=operation_ttl_seconds
        )
        self._reads: Lane[Key, Entry] = Lane(
            self._read_distinct,
            lost=StoreUnavailable,
            timeout_seconds=timeout_seconds,
            meter=None if meter is None else meter.lane("read"),
        )
        self._writes: Lane[tuple[Key, Draft], Written] = Lane(
            self.write_many,
            lost=OutcomeUnknown,
            timeout_seconds=timeout_seconds,
            weigh=lambda item: len(item[1].body),
            meter=None if meter is None else meter.lane("write"),
        )
        self._steps: Lane[tuple[CounterName, int], Added] = Lane(
            self._add_sums,
            lost=OutcomeUnknown,
            timeout_seconds=timeout_seconds,
            meter=None if meter is None else meter.lane("add"),
        )

    def read(self, key: Key) -> Awaitable[Entry]:
        return self._reads.submit(key)

    def write(
        self,
        key: Key,
        draft: Draft,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[Written]:
        if precondition is None and operation is None and draft.ttl != "keep":
            return self._writes.submit((key, draft))
        return self.put(key, draft, precondition, operation)

    def add(
        self, name: CounterName, increment: Increment, operation: Operation | None = None
    ) -> Awaitable[Added]:
        if operation is None and increment.is_plain:
            return self._steps.submit((name, increment.by))
        return self.step(name, increment, operation)

    async def read_many(
        self, keys: Sequence[Key], deadline: float | None = None
    ) -> list[Entry | DomainError]:
        outcomes: list[Entry | DomainError] = []
        while len(outcomes) < len(keys):
            size = max(1, MAX_ANSWER_BYTES // self._reads.answer_bytes)
            some = keys[len(outcomes) : len(outcomes) + size]
            found = await super().read_many(some, deadline)
            self._learn_size(found)
            outcomes += found
        return outcomes

    def _learn_size(self, found: Sequence[Entry | DomainError]) -> None:
        """Take the first of a batch as a sample of how large entries are.

        A large one counts for a while, and so does an answer that did not come in time: it may
        have been too large to, and the same reads tried again must not end the same way for ever.
        """
        expected = self._reads.answer_bytes
        sample = found[0]
        if isinstance(sample, Entry):
            self._reads.answer_bytes = max(1, len(sample.body), expected - expected // 16)
        elif isinstance(sample, StoreUnavailable):
            self._reads.answer_bytes = max(expected, MAX_ANSWER_BYTES // len(found) * 2)

    async def _read_distinct(
        self, keys: list[Key], deadline: float
    ) -> Sequence[Entry | DomainError]:
        distinct = list(dict.fromkeys(keys))
        found = await self.read_many(distinct, deadline)
        if len(distinct) == len(keys):
            return found
        by_key = dict(zip(distinct, found, strict=True))
        return [by_key[key] for key in keys]

    async def _add_sums(
        self, steps: list[tuple[CounterName, int]], deadline: float
    ) -> Sequence[Added | DomainError]:
        """Send one step for each counter and direction, and deal its answer out as running sums.

        Steps of one direction only: then a sum that fits means that every sum on the way fits.
        """
        groups: dict[tuple[str, bool], list[int]] = {}
        for i, (name, by) in enumerate(steps):
            groups.setdefault((name.text, by < 0), []).append(i)
        if len(groups) == len(steps):
            return await self.add_many(steps, deadline)
        sums = [(steps[group[0]][0], sum(steps[i][1] for i in group)) for group in groups.values()]
        fitting = [INT64_MIN <= by <= INT64_MAX for _, by in sums]
        answers = iter(
            await self.add_many(
                [s for s, fits in zip(sums, fitting, strict=True) if fits], deadline
            )
            if any(fitting)
            else ()
        )
        outcomes: list[Added | DomainError] = [CounterOverflow()] * len(steps)
        one_by_one: list[int] = []
        for group, (_, total), fits in zip(groups.values(), sums, fitting, strict=True):
            answer = next(answers) if fits else CounterOverflow()
            if isinstance(answer, Added):
                value = answer.value - total
                for i in group:
                    by = steps[i][1]
                    value += by
                    outcomes[i] = Added(value, by)
            elif isinstance(answer, CounterOverflow) and len(group) > 1:
                one_by_one += group
            else:
                for i in group:
                    outcomes[i] = answer
        if one_by_one:
            retried = await self.add_many([steps[i] for i in one_by_one], deadline)
            for i, outcome in zip(one_by_one, retried, strict=True):
                outcomes[i] = outcome
        return outcomes
