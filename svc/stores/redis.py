"""The Store port on Redis. Plain single operations of one loop turn share a round trip.

Reads travel as one MGET, plain writes and plain increments as one script each: see batcher.py.
Other operations, among them every write with a precondition, take a round trip of their own:
see entries.py and counters.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ..domain.errors import CounterOverflow, DomainError, OutcomeUnknown, StoreUnavailable
from ..domain.limits import Ask, Taken
from ..domain.model import (
    INT64_MAX,
    INT64_MIN,
    Added,
    Collection,
    CounterName,
    Draft,
    Entry,
    Increment,
    Key,
    Operation,
    Precondition,
    PrefixDeleted,
    StoreFailure,
    StoreInfo,
    Unread,
    Written,
)
from ..domain.watching import EndWatch, Subject, Watcher
from ..telemetry.store_meter import StoreMeter
from . import listing
from .batcher import Batcher, BatcherPerServer, Item, Result
from .counters import RedisCounters
from .embedded import EmbeddedRedis
from .entries import RedisEntries
from .failures import Failures
from .link import Command, Link
from .names import counter_name, entry_name, permit_name
from .permits import RedisPermits
from .prefix_deletion import delete_page
from .redis_errors import checked
from .watching import Hub


class RedisStore(RedisEntries, RedisCounters, RedisPermits):
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
        self._submit_read = self._submitter(
            lambda: Batcher(
                self._read_batch,
                lost=StoreUnavailable,
                timeout_seconds=timeout_seconds,
                weigh_result=lambda entry: len(entry.body),
                meter=None if meter is None else meter.batcher("read"),
            ),
            entry_name,
        )
        self._submit_write = self._submitter(
            lambda: Batcher(
                self.write_many,
                lost=OutcomeUnknown,
                timeout_seconds=timeout_seconds,
                weigh=lambda item: len(item[1].body),
                meter=None if meter is None else meter.batcher("write"),
            ),
            lambda item: entry_name(item[0]),
        )
        self._submit_add = self._submitter(
            lambda: Batcher(
                self._add_batch,
                lost=OutcomeUnknown,
                timeout_seconds=timeout_seconds,
                meter=None if meter is None else meter.batcher("add"),
            ),
            lambda item: counter_name(item[0]),
        )

        self._hub = Hub(link, self.clock, timeout_seconds)
        self._submit_ask = self._submitter(
            lambda: Batcher(self.take_many, lost=StoreUnavailable, timeout_seconds=timeout_seconds),
            lambda ask: permit_name(ask.name),
        )

    def _submitter(
        self, build: Callable[[], Batcher[Item, Result]], name_of: Callable[[Item], bytes]
    ) -> Callable[[Item], Awaitable[Result]]:
        """Return what adds an item to a batch. ``name_of`` gives the item's name in Redis."""
        link = self.link
        if not link.is_cluster:
            return build().submit
        return BatcherPerServer(build, lambda item: link.server_of(name_of(item))).submit

    def read(self, key: Key) -> Awaitable[Entry]:
        return self._submit_read(key)

    def read_to_swap(self, key: Key) -> Awaitable[Entry]:
        return self._submit_read(key)

    def write(
        self,
        key: Key,
        draft: Draft,
        precondition: Precondition | None = None,
        operation: Operation | None = None,
    ) -> Awaitable[Written]:
        if precondition is None and operation is None and draft.ttl != "keep":
            return self._submit_write((key, draft))
        return self.put(key, draft, precondition, operation)

    def add(
        self,
        name: CounterName,
        increment: Increment,
        operation: Operation | None = None,
        precondition: Precondition | None = None,
    ) -> Awaitable[Added]:
        if operation is None and precondition is None and increment.is_plain:
            return self._submit_add((name, increment.by))
        return self.increment(name, increment, operation, precondition)

    def take(self, ask: Ask) -> Awaitable[Taken]:
        return self._submit_ask(ask)

    def watch(self, subject: Subject, watcher: Watcher, since: str = "") -> Awaitable[EndWatch]:
        return self._hub.watch(subject, watcher, since)

    def delete_prefix(
        self,
        collection: Collection,
        prefix: str,
        limit: int,
        cursor: str | None,
        within: tuple[str, ...] = (),
    ) -> Awaitable[PrefixDeleted]:
        return delete_page(self, collection, prefix, limit, cursor, within)

    def close(self) -> None:
        """End what runs in the background."""
        self._hub.close()

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

    async def read_many(self, keys: Sequence[Key], room: int) -> list[Entry | Unread | DomainError]:
        if len({key.text for key in keys}) == len(keys):
            return await super().read_many(keys, room)
        distinct = list(dict.fromkeys(keys))
        found = await super().read_many(distinct, room)
        by_key = dict(zip(distinct, found, strict=True))
        return [by_key[key] for key in keys]

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
