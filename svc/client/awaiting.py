"""The client for programs that await."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx
from httpx_sse import EventSource

from ..domain.model import CounterSummary, EntrySummary
from .batch import Batch, run_batch
from .connection import SILENCE_SECONDS, Endpoint, Options, answer_of, kind_of, timeout_of
from .counter_operations import Operations
from .exchange import Answer, NoAnswer, Operation, Pause, Send
from .watching import (
    CLOSED,
    Changed,
    Counted,
    Deleted,
    Synced,
    Watch,
    watch_counter,
    watch_counters,
    watch_entries,
    watch_entry,
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _method(
    operation: Callable[Concatenate[Operations, Arguments], Operation[Result]],
) -> Callable[Concatenate[AsyncClient, Arguments], Coroutine[Any, Any, Result]]:
    """Return the method that runs the operation to its end."""

    @functools.wraps(operation)
    async def method(
        self: AsyncClient, /, *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        return await self._run(operation(self._operations, *arguments, **named))

    return method


class AsyncClient(Endpoint[httpx.AsyncClient]):
    """A client of one service, for asyncio."""

    def _open(self, options: Options) -> httpx.AsyncClient:
        return httpx.AsyncClient(**options.httpx_options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._is_owner:
            await self._http.aclose()

    get = _method(Operations.get)
    find = _method(Operations.find)
    get_if_changed = _method(Operations.get_if_changed)
    put = _method(Operations.put)
    create = _method(Operations.create)
    patch = _method(Operations.patch)
    delete = _method(Operations.delete)
    delete_prefix = _method(Operations.delete_prefix)
    update = _method(Operations.update)
    increment = _method(Operations.increment)
    get_counter = _method(Operations.get_counter)
    set_counter = _method(Operations.set_counter)
    delete_counter = _method(Operations.delete_counter)
    delete_counters = _method(Operations.delete_counters)

    async def run(self, batch: Batch) -> None:
        """Send the batch's operations; each has its result then."""
        await self._run(run_batch(batch, self._policy))

    async def entries(
        self, prefix: str = "", *, values: bool = False, page_size: int = 100
    ) -> AsyncIterator[EntrySummary]:
        """Iterate over the entries whose keys begin with the prefix, in no particular order.

        None that is there throughout is missed; one may come twice. With ``values`` each is an
        Entry; they are read page by page.
        """
        cursor = None
        while True:
            page, cursor = await self._run(
                self._operations.entries_page(prefix, page_size, cursor, values=values)
            )
            for each in page:
                yield each
            if cursor is None:
                return

    async def counters(
        self, prefix: str = "", *, page_size: int = 100
    ) -> AsyncIterator[CounterSummary]:
        """Iterate over the counters whose names begin with the prefix, as ``entries`` does."""
        cursor = None
        while True:
            page, cursor = await self._run(
                self._operations.counters_page(prefix, page_size, cursor)
            )
            for each in page:
                yield each
            if cursor is None:
                return

    async def watch(self, key: str) -> AsyncIterator[Changed | Deleted | Synced]:
        """Iterate over the entry's states: the present one, Synced, then each later one.

        It goes on after cuts and restarts, and ends only by an error: after the deadline without
        any connection. States may be skipped; the last one never is.
        """
        async for each in self._watch(watch_entry(key, self._policy)):
            yield each

    async def watch_prefix(
        self, prefix: str = "", *, values: bool = False
    ) -> AsyncIterator[Changed | Deleted | Synced]:
        """Iterate over the states of all entries with the prefix, as ``watch`` does."""
        async for each in self._watch(watch_entries(prefix, self._policy, values=values)):
            yield each

    async def watch_counter(self, name: str) -> AsyncIterator[Counted | Deleted | Synced]:
        """Iterate over the counter's values, as ``watch`` does."""
        async for each in self._watch(watch_counter(name, self._policy)):
            yield each

    async def watch_counters(self, prefix: str = "") -> AsyncIterator[Counted | Deleted | Synced]:
        """Iterate over the values of all counters with the prefix, as ``watch`` does."""
        async for each in self._watch(watch_counters(prefix, self._policy)):
            yield each

    async def _run(self, operation: Operation[Result]) -> Result:
        told: Any = None
        reason: NoAnswer | None = None
        while True:
            try:
                step = operation.send(told) if reason is None else operation.throw(reason)
            except StopIteration as end:
                result: Result = end.value
                return result
            told, reason = None, None
            if isinstance(step, Send):
                try:
                    told = await self._send(step)
                except NoAnswer as error:
                    reason = error
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                told = step.function(step.argument)
                if inspect.isawaitable(told):
                    told = await told

    async def _send(self, step: Send) -> Answer:
        request = self._build(step.request, timeout_of(step.seconds))
        try:
            async with asyncio.timeout(step.seconds):
                response = await self._http.send(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise self._no_answer(error) from None
        return answer_of(response, response.content)

    async def _watch(self, watch: Watch) -> AsyncIterator[Any]:
        while True:
            request = self._build(
                watch.request(), timeout_of(self._policy.try_seconds, SILENCE_SECONDS)
            )
            try:
                response = await self._http.send(request, stream=True)
                async with contextlib.aclosing(response):
                    if watch.connected(*kind_of(response)):
                        async with contextlib.aclosing(EventSource(response).aiter_sse()) as wires:
                            async for wire in wires:
                                for event in watch.read(wire):
                                    yield event
                                if watch.has_ended:
                                    break
                        seconds = watch.lost(NoAnswer(CLOSED, was_sent=True))
                    else:
                        seconds = watch.refused(answer_of(response, await response.aread()))
            except httpx.HTTPError as error:
                seconds = watch.lost(self._no_answer(error))
            await asyncio.sleep(seconds)
