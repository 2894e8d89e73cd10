"""The Store port on Redis. Plain single operations of one loop turn share a round trip.

Reads travel as one MGET, plain writes and plain increments as one script each: see batcher.py.
Other operations, among them every write with a precondition, take a round trip of their own:
see entries.py and counters.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

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
    StoreFailure,
    StoreInfo,
    Unread,
    Written,
)
from ..telemetry.store_meter import StoreMeter
from . import listing
from .batcher import MAX_ANSWER_BYTES, Batcher
from .counters import RedisCounters
from .embedded import EmbeddedRedis
from .entries import RedisEntries
from .failures import Failures
from .link import Command, Link
from .redis_errors import checked


class RedisStore(RedisEntries, RedisCounters):
    """Fills the Store port over one Link: a server, Sentinel's primary, or a Cluster."""

    def __init__(
        self,
        link: Link,
        *,
        timeout_seconds: float,
        operation_ttl_seconds: int,
        meter: StoreMeter | None = None,
        failures: Failures | None = None,
        embedded: EmbeddedRedis | None = None,
        is_own: bool = False,
    ) -> None:
        """``embedded``: what this process started. ``is_own``: nobody else uses the store."""
        self._failures = failures or Failures()
        self._embedded = embedded
        self._is_own = is_own
        super().__init__(
            link, timeout_seconds=timeout_seconds, operation_ttl_seconds=operation_ttl_seconds
        )
        self._reads: Batcher[Key, Entry] = Batcher(
            self._read_batch,
            lost=StoreUnavailable,
            timeout_seconds=timeout_seconds,
            meter=None if meter is None else meter.batcher("read"),
        )
        self._writes: Batcher[tuple[Key, Draft], Written] = Batcher(
            self.write_many,
            lost=OutcomeUnknown,
            timeout_seconds=timeout_seconds,
            weigh=lambda item: len(item[1].body),
            meter=None if meter is None else meter.batcher("write"),
        )
        self._adds: Batcher[tuple[CounterName, int], Added] = Batcher(
            self._add_batch,
            lost=OutcomeUnknown,
            timeout_seconds=timeout_seconds,
            meter=None if meter is None else meter.batcher("add"),
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
        self,
        name: CounterName,
        increment: Increment,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[Added]:
        if operation is None and precondition is None and increment.is_plain:
            return self._adds.submit((name, increment.by))
        return self.increment(name, increment, operation, precondition)

    async def ping(self) -> StoreInfo:
        """Ask one of the servers. It answers this while it loads its data, too."""
        commands: list[Command] = [("INFO", "server"), ("INFO", "persistence")]
        replies = await self.execute(commands, repeatable=True)
        server, persistence = (
            listing.parse_info(checked(reply, changing=False)) for reply in replies
        )
        loaded = 1.0
        if persistence["loading"] != "0":
            loaded = min(float(persistence.get("loading_loaded_perc", 0)) / 100, 0.9999)
        return StoreInfo(server["redis_version"], loaded)

    def failures(self) -> Sequence[StoreFailure]:
        return self._failures.recent()

    async def own_state(self) -> str | None:
        if self._embedded is not None:
            return self._embedded.state
        if not self._is_own:
            return None
        try:
            return "serving" if (await self.ping()).loaded_ratio == 1 else "loading"
        except DomainError:
            return "starting"

    async def serving(self) -> None:
        if self._embedded is not None:
            await self._embedded.serving()

    async def mget(
        self, keys: Sequence[Key], deadline: float | None = None
    ) -> list[Entry | DomainError]:
        outcomes: list[Entry | DomainError] = []
        while len(outcomes) < len(keys):
            size = max(1, MAX_ANSWER_BYTES // self._reads.answer_bytes)
            some = keys[len(outcomes) : len(outcomes) + size]
            found = await super().mget(some, deadline)
            self._learn_size(found)
            outcomes += found
        return outcomes

    async def read_many(self, keys: Sequence[Key], room: int) -> list[Entry | Unread | DomainError]:
        if len({key.text for key in keys}) == len(keys):
            return await super().read_many(keys, room)
        distinct = list(dict.fromkeys(keys))
        found = await super().read_many(distinct, room)
        by_key = dict(zip(distinct, found, strict=True))
        return [by_key[key] for key in keys]

    def _learn_size(self, found: Sequence[Entry | DomainError]) -> None:
        """Update the expected size of an entry, with the first result of a batch as the sample.

        It rises at once and falls slowly. After a timeout it rises too: the reply may have been too
        large to arrive in time, and a retry of the same reads should get smaller batches.
        """
        expected = self._reads.answer_bytes
        sample = found[0]
        if isinstance(sample, Entry):
            self._reads.answer_bytes = max(1, len(sample.body), expected - expected // 16)
        elif isinstance(sample, StoreUnavailable):
            self._reads.answer_bytes = max(expected, MAX_ANSWER_BYTES // len(found) * 2)

    async def _read_batch(self, keys: list[Key], deadline: float) -> Sequence[Entry | DomainError]:
        distinct = list(dict.fromkeys(keys))
        found = await self.mget(distinct, deadline)
        if len(distinct) == len(keys):
            return found
        by_key = dict(zip(distinct, found, strict=True))
        return [by_key[key] for key in keys]

    async def _add_batch(
        self, increments: list[tuple[CounterName, int]], deadline: float
    ) -> Sequence[Added | DomainError]:
        """Send one sum for each counter and sign, and compute each increment's own result from it.

        Each increment gets the running sum up to and including itself. Sums are kept apart by sign:
        if a sum of one sign fits into 64 bits, every running sum on the way to it fits too.
        """
        groups: dict[tuple[str, bool], list[int]] = {}
        for i, (name, by) in enumerate(increments):
            groups.setdefault((name.text, by < 0), []).append(i)
        if len(groups) == len(increments):
            return await self.add_many(increments, deadline)
        sums = [
            (increments[group[0]][0], sum(increments[i][1] for i in group))
            for group in groups.values()
        ]
        fitting = [INT64_MIN <= by <= INT64_MAX for _, by in sums]
        answers = iter(
            await self.add_many(
                [s for s, fits in zip(sums, fitting, strict=True) if fits], deadline
            )
            if any(fitting)
            else ()
        )
        outcomes: list[Added | DomainError] = [CounterOverflow()] * len(increments)
        singly: list[int] = []
        for group, (_, total), fits in zip(groups.values(), sums, fitting, strict=True):
            answer = next(answers) if fits else CounterOverflow()
            if isinstance(answer, Added):
                value = answer.value - total
                for i in group:
                    by = increments[i][1]
                    value += by
                    outcomes[i] = Added(value, by)
            elif isinstance(answer, CounterOverflow) and len(group) > 1:
                singly += group
            else:
                for i in group:
                    outcomes[i] = answer
        if singly:
            retried = await self.add_many([increments[i] for i in singly], deadline)
            for i, outcome in zip(singly, retried, strict=True):
                outcomes[i] = outcome
        return outcomes
