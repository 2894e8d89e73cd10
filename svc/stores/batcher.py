"""Gather the calls of one event loop turn into batches, each sent as one command to Redis.

A round trip costs this process far more than a key in it. A batch is closed only after its last
item has arrived, so no caller gets data that was read before its call. While one batch is under
way the next one grows: the busier the service, the larger the batches.

A server that answers slowly, or not at all, takes the places of a Batcher. So a Cluster has one for
each server: what delays one server's items delays no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from ..domain.errors import DomainError, StoreUnavailable
from ..telemetry.loop_clock import loop_clock
from ..telemetry.store_meter import BatcherMeter
from .wire import ReplyTooLarge

#: Batches that one batcher has under way. More of them would only make each smaller. But after
#: PATIENCE_SECONDS (a lost packet, a large reply) the next one no longer waits for the first.
IN_FLIGHT: Final = 1
MAX_IN_FLIGHT: Final = 8
#: The same for batches that are small because their results are large.
LARGE_IN_FLIGHT: Final = 2
PATIENCE_SECONDS: Final = 0.005
#: The largest batch, in items, bytes sent and bytes received: a larger one would delay the next.
MAX_BATCH: Final = 128
MAX_BATCH_BYTES: Final = 1 << 20
MAX_ANSWER_BYTES: Final = 2 << 20

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Gathers the items of one loop turn and passes them to ``send`` together.

    ``send(items, deadline)`` returns a result or a DomainError for each item, in order; the
    deadline is time of the LoopClock. If ``send`` itself fails unexpectedly, every item gets a
    ``lost`` error. ``weigh`` returns the bytes that an item adds to the batch, ``weigh_result``
    those of a result.
    """

    def __init__(
        self,
        send: Callable[[list[Item], float], Awaitable[Sequence[Result | DomainError]]],
        *,
        lost: type[DomainError],
        timeout_seconds: float,
        weigh: Callable[[Item], int] | None = None,
        weigh_result: Callable[[Result], int] | None = None,
        meter: BatcherMeter | None = None,
    ) -> None:
        self._send = send
        self._meter = meter
        self._lost = lost
        self._timeout = timeout_seconds
        self._weigh = weigh
        self._weigh_result = weigh_result
        self._loop = asyncio.get_running_loop()
        self._clock = loop_clock()
        self._context = Context()
        self._waiting: list[tuple[Item, asyncio.Future[Result], float]] = []
        self._scheduled = False
        self._in_flight: set[asyncio.Task[None]] = set()
        #: The expected bytes of one result.
        self._answer_bytes = 1
        self._patience_timer: asyncio.TimerHandle | None = None

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Add an item to the next batch. Return the future of its result, or of its DomainError."""
        future: asyncio.Future[Result] = self._loop.create_future()
        self._waiting.append((item, future, self._clock.now()))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._send_waiting)
        return future

    def _send_waiting(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._in_flight) < IN_FLIGHT:
            self._start_batch()
        if self._waiting and self._patience_timer is None:
            self._patience_timer = self._loop.call_later(PATIENCE_SECONDS, self._out_of_patience)

    def _out_of_patience(self) -> None:
        self._patience_timer = None
        is_large = self._answer_bytes > MAX_ANSWER_BYTES // MAX_BATCH
        most = LARGE_IN_FLIGHT if is_large else MAX_IN_FLIGHT
        if self._waiting and len(self._in_flight) < most:
            self._start_batch()
        self._send_waiting()

    def _start_batch(self) -> None:
        # An empty context: the batch belongs to many requests, so its log lines name none of them.
        task = self._loop.create_task(self._run(self._next_batch()), context=self._context)
        self._in_flight.add(task)
        task.add_done_callback(self._ended)

    def _next_batch(self) -> list[tuple[Item, asyncio.Future[Result], float]]:
        size = min(len(self._waiting), MAX_BATCH, max(1, MAX_ANSWER_BYTES // self._answer_bytes))
        if self._weigh is not None:
            weight = 0
            for i in range(size):
                weight += self._weigh(self._waiting[i][0])
                if weight > MAX_BATCH_BYTES and i > 0:
                    size = i
                    break
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        return batch

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if self._patience_timer is not None:
            self._patience_timer.cancel()
            self._patience_timer = None
        if self._waiting:
            self._send_waiting()

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result], float]]) -> None:
        # Items that waited behind a stalled round trip may have too little time left. Refuse them:
        # an error that certainly changed nothing is better than a change with unknown outcome.
        too_old = self._clock.now() - self._timeout * 0.9
        if batch[0][2] < too_old:
            for _, future, submitted in batch:
                if submitted < too_old and not future.done():
                    future.set_exception(StoreUnavailable("the store did not answer in time"))
            batch = [each for each in batch if each[2] >= too_old]
            if not batch:
                return
        span = None if self._meter is None else self._meter.begin_batch(batch)
        try:
            results = await self._send([item for item, _, _ in batch], batch[0][2] + self._timeout)
            if len(results) != len(batch):
                raise RuntimeError("as many results as items")  # noqa: TRY301
        except ReplyTooLarge:  # only several results are too large together
            self._answer_bytes = 4 * max(1, MAX_ANSWER_BYTES // len(batch))
            self._waiting[:0] = batch
            return
        except DomainError as error:
            results = [error.copy() for _ in batch]
        except BaseException:
            # Cancelled, or a bug. Every waiting caller still gets an error, which says correctly
            # whether its change may have been applied.
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(self._lost("the service failed in the middle"))
            raise
        finally:
            if span is not None:
                span.end()
        if self._weigh_result is not None:
            self._learn_size(results, self._weigh_result)
        for (_, future, _), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, DomainError):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _learn_size(
        self, results: Sequence[Result | DomainError], weigh: Callable[[Result], int]
    ) -> None:
        """Update the expected size of a result, with the first one of a batch as the sample.

        It rises at once and falls slowly. After a timeout it rises too: the reply may have been too
        large to arrive in time, and a retry of the same reads should get smaller batches.
        """
        expected, sample = self._answer_bytes, results[0]
        if isinstance(sample, StoreUnavailable):
            self._answer_bytes = max(expected, MAX_ANSWER_BYTES // len(results) * 2)
        elif not isinstance(sample, DomainError):
            self._answer_bytes = max(1, weigh(sample), expected - expected // 16)


class BatcherPerServer(Generic[Item, Result]):
    """A Batcher, made by ``build``, for each server of a Cluster; ``server_of`` gives an item's."""

    def __init__(
        self, build: Callable[[], Batcher[Item, Result]], server_of: Callable[[Item], object]
    ) -> None:
        self._build = build
        self._server_of = server_of
        #: Weak: a server that leaves the Cluster takes its batcher along.
        self._batchers: WeakKeyDictionary[object, Batcher[Item, Result]] = WeakKeyDictionary()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        server = self._server_of(item)
        batcher = self._batchers.get(server)
        if batcher is None:
            batcher = self._batchers[server] = self._build()
        return batcher.submit(item)
