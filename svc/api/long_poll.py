"""Long polls: GETs with ``?wait=`` that are answered once there is something new, or after that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from ..domain.errors import CounterMissing, KeyMissing
from ..domain.watching import Change, Subject
from ..telemetry.trace import TRACE
from .admission import ADMISSION
from .bodies import WaitQuery
from .context import LIFECYCLE, STORE
from .requests import read_query
from .watchers import WATCHERS

#: An answer, or that there is nothing.
Answer = web.StreamResponse | KeyMissing | CounterMissing
Read = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Poll:
    """A Watcher that only notes that there was something to tell."""

    def __init__(self) -> None:
        self.ended = ""
        self._heard = asyncio.Event()

    def tell(self, change: Change) -> None:  # noqa: ARG002 - it is read again
        self._heard.set()

    def sync(self, position: str) -> None:
        """Learn nothing: what is there was told."""

    def reset(self, reason: str) -> None:  # noqa: ARG002
        self._heard.set()

    def end(self, reason: str) -> None:
        self.ended = self.ended or reason
        self._heard.set()

    async def room(self, until: float) -> None:  # noqa: ARG002
        return

    async def hears(self, seconds: float) -> bool:
        """Wait for something. Return False after the time."""
        try:
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        except TimeoutError:
            return False
        self._heard.clear()
        return True


#: There from when a poll begins. Its connection ends it with the client.
POLL: Final = web.RequestKey("poll", Poll)


def wait_of(request: web.Request) -> float | None:
    """Return how long the client waits, in seconds; None: not at all. Raises QueryInvalid."""
    if POLL in request:  # the handler is called for an answer
        return None
    query = read_query(request, WaitQuery)
    return (
        None
        if query.wait is None or request.method != hdrs.METH_GET
        else float(query.wait.removesuffix("s"))
    )


async def poll(
    request: web.Request, read: Read, subject: Subject, seconds: float
) -> web.StreamResponse:
    """Answer as ``read`` does, once it differs from what the client knows, or after the time.

    With If-None-Match, the client knows what it names; without, it waits for what is absent.
    A client that sends nothing more has left, or may as well ask again: it is answered at once.
    """
    request[POLL] = poll = Poll()
    if _has_left(request):
        poll.end("client_left")
    last = await _attempt(request, read)
    if poll.ended or not _is_known(request, last):
        return _answered(last)
    watchers = request.app[WATCHERS]
    watchers.add(poll, TRACE.get().caller)
    reason = "refused"
    try:
        end = await request.app[STORE].watch(subject, poll)
        reason = "timeout"
        try:
            last, reason = await _poll(request, read, poll, seconds, last)
        finally:
            end()
    finally:
        watchers.remove(poll, poll.ended or reason)
    return _answered(last)


def _has_left(request: web.Request) -> bool:
    """Return True if the client closed its side before the poll began."""
    return request.transport is None or bool(getattr(request.protocol, "saw_eof", False))


async def _poll(
    request: web.Request, read: Read, poll: Poll, seconds: float, last: Answer
) -> tuple[Answer, str]:
    admission, lifecycle, trace = request.app[ADMISSION], request.app[LIFECYCLE], TRACE.get()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not poll.ended and (left := deadline - loop.time()) > 0:
        # It takes no place among the requests in flight, nor does the wait count as their time.
        admission.leave()
        began = time.perf_counter()
        try:
            heard = await poll.hears(left)
        finally:
            lifecycle.in_flight += 1
            trace.waited_seconds += time.perf_counter() - began
        if heard and not poll.ended:
            last = await _attempt(request, read)
            if not _is_known(request, last):
                return last, "answered"
    return last, "timeout"


async def _attempt(request: web.Request, read: Read) -> Answer:
    try:
        return await read(request)
    except (KeyMissing, CounterMissing) as missing:
        return missing.with_traceback(None)


def _is_known(request: web.Request, answer: Answer) -> bool:
    if isinstance(answer, web.StreamResponse):
        return answer.status == 304
    return hdrs.IF_NONE_MATCH not in request.headers


def _answered(answer: Answer) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        return answer
    raise answer
