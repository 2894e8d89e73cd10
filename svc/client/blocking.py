"""The client for programs that block."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
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
) -> Callable[Concatenate[Client, Arguments], Result]:
    """Return the method that runs the operation to its end."""

    @functools.wraps(operation)
    def method(self: Client, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        return self._run(operation(self._operations, *arguments, **named))

    return method


class Client(Endpoint[httpx.Client]):
    """A client of one service. Threads may share it."""

    def _open(self, options: Options) -> httpx.Client:
        return httpx.Client(**options.httpx_options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._is_owner:
            self._http.close()

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

    def run(self, batch: Batch) -> None:
        """Send the batch's operations; each has its result then."""
        self._run(run_batch(batch, self._policy))

    def entries(
        self, prefix: str = "", *, values: bool = False, page_size: int = 100
    ) -> Iterator[EntrySummary]:
        """Iterate over the entries whose keys begin with the prefix, in no particular order.

        None that is there throughout is missed; one may come twice. With ``values`` each is an
        Entry; they are read page by page.
        """
        cursor = None
        while True:
            page, cursor = self._run(
                self._operations.entries_page(prefix, page_size, cursor, values=values)
            )
            yield from page
            if cursor is None:
                return

    def counters(self, prefix: str = "", *, page_size: int = 100) -> Iterator[CounterSummary]:
        """Iterate over the counters whose names begin with the prefix, as ``entries`` does."""
        cursor = None
        while True:
            page, cursor = self._run(self._operations.counters_page(prefix, page_size, cursor))
            yield from page
            if cursor is None:
                return

    def watch(self, key: str) -> Iterator[Changed | Deleted | Synced]:
        """Iterate over the entry's states: the present one, Synced, then each later one.

        It goes on after cuts and restarts, and ends only by an error: after the deadline without
        any connection. States may be skipped; the last one never is.
        """
        yield from self._watch(watch_entry(key, self._policy))

    def watch_prefix(
        self, prefix: str = "", *, values: bool = False
    ) -> Iterator[Changed | Deleted | Synced]:
        """Iterate over the states of all entries with the prefix, as ``watch`` does."""
        yield from self._watch(watch_entries(prefix, self._policy, values=values))

    def watch_counter(self, name: str) -> Iterator[Counted | Deleted | Synced]:
        """Iterate over the counter's values, as ``watch`` does."""
        yield from self._watch(watch_counter(name, self._policy))

    def watch_counters(self, prefix: str = "") -> Iterator[Counted | Deleted | Synced]:
        """Iterate over the values of all counters with the prefix, as ``watch`` does."""
        yield from self._watch(watch_counters(prefix, self._policy))

    def _run(self, operation: Operation[Result]) -> Result:
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
                    told = self._send(step)
                except NoAnswer as error:
                    reason = error
            elif isinstance(step, Pause):
                time.sleep(step.seconds)
            else:
                told = step.function(step.argument)

    def _send(self, step: Send) -> Answer:
        request = self._build(step.request, timeout_of(step.seconds))
        end = self._policy.clock() + step.seconds
        try:
            response = self._http.send(request, stream=True)
            with contextlib.closing(response):
                return answer_of(response, self._read(response, end))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise self._no_answer(error) from None

    def _read(self, response: httpx.Response, end: float) -> bytes:
        """Return the body. Raises TimeoutError if a part comes after the end."""
        body = bytearray()
        for part in response.iter_bytes():
            if self._policy.clock() > end:
                raise TimeoutError
            body += part
        return bytes(body)

    def _watch(self, watch: Watch) -> Iterator[Any]:
        while True:
            request = self._build(
                watch.request(), timeout_of(self._policy.try_seconds, SILENCE_SECONDS)
            )
            try:
                response = self._http.send(request, stream=True)
                with contextlib.closing(response):
                    if watch.connected(*kind_of(response)):
                        for wire in EventSource(response).iter_sse():
                            yield from watch.read(wire)
                            if watch.has_ended:
                                break
                        seconds = watch.lost(NoAnswer(CLOSED, was_sent=True))
                    else:
                        seconds = watch.refused(answer_of(response, response.read()))
            except httpx.HTTPError as error:
                seconds = watch.lost(self._no_answer(error))
            time.sleep(seconds)
