"""Tells people about a rollout, in the background: the rollout never waits for it.

Each event is told once, also over restarts: the rollout's state keeps what has arrived. A runner
that is killed in between is followed by one that tells it again, with the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import aiohttp

from ..plan.notify_spec import NotifySpec
from .events import VERDICTS, Event

log = logging.getLogger(__name__)

#: Sends a title, a text and our JSON. Raises anything if it can't.
Send = Callable[[str, str, dict[str, Any]], Awaitable[None]]

_ATTEMPTS: Final = 3
_TIMEOUT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 1.0
#: How many events wait for a receiver that does not answer.
_MAX_PENDING: Final = 50
_DIGITS: Final = re.compile(r"\d+")


def key_of(event: Event, rollout: str) -> str:
    """Return what names an event; ``rollout`` tells two rollouts of a plan apart."""
    # Digits change while the same thing goes on, as in the age of a sample.
    # The next runner may word the same verdict otherwise.
    detail = "" if event.kind in VERDICTS else event.detail
    words = _DIGITS.sub("", f"{event.reason} {detail}")
    text = f"{rollout} {event.kind.value} {event.number} {words}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Notifier:
    """Sends events to receivers, to each in order, three times at most."""

    def __init__(self, namespace: str, receivers: Sequence[tuple[NotifySpec, Send]]) -> None:
        self._namespace = namespace
        self._receivers = receivers
        #: How many receivers have not got an event yet, by its key.
        self._missing: dict[str, int] = {}
        self._arrived: list[str] = []
        self._has_given_up = False
        self._queues = [asyncio.Queue[tuple[Event, str]](_MAX_PENDING) for _ in receivers]
        self._workers = [
            asyncio.ensure_future(self._deliver(spec, send, queue))
            for (spec, send), queue in zip(receivers, self._queues, strict=True)
        ]

    def post_event(self, event: Event, key: str) -> None:
        """Tell whoever is to be told, soon, and of each key once."""
        if key in self._missing:
            return
        for (spec, _), queue in zip(self._receivers, self._queues, strict=True):
            if event.kind.value in spec.events:
                try:
                    queue.put_nowait((event, key))
                except asyncio.QueueFull:
                    log.warning("a notification is lost: too many are pending")
                else:
                    self._missing[key] = self._missing.get(key, 0) + 1

    def take_arrived(self) -> list[str]:
        """Return the keys that all receivers have got, or were tried in vain, since last time."""
        arrived, self._arrived = self._arrived, []
        return arrived

    async def finish(self) -> None:
        """Send what is pending, for a few seconds."""
        if self._has_given_up:
            return
        pending = asyncio.gather(*(queue.join() for queue in self._queues))
        try:
            await asyncio.wait_for(pending, _TIMEOUT_SECONDS)
        except TimeoutError:
            self._has_given_up = True
            log.warning("notifications are lost: their receivers did not answer in time")

    async def close(self) -> None:
        """Send what is pending, for a few seconds, and stop."""
        await self.finish()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _deliver(
        self, spec: NotifySpec, send: Send, queue: asyncio.Queue[tuple[Event, str]]
    ) -> None:
        while True:
            event, key = await queue.get()
            fields = self._fields(event)
            title, body = spec.title.format_map(fields), spec.body.format_map(fields)
            document = {"id": key, "title": title, "text": body, "time": event.time, **fields}
            document["kind"] = event.kind.value  # for programs, as in the plan's events
            await _try(lambda: send(title, body, document))  # noqa: B023 - it is awaited here
            self._missing[key] -= 1
            if not self._missing[key]:
                self._arrived.append(key)
            queue.task_done()

    def _fields(self, event: Event) -> dict[str, str]:
        share = "" if event.share is None else f"{event.share * 100:.4g} %"
        return {
            "rollout": event.rollout,
            "namespace": self._namespace,
            "kind": event.kind.value.replace("_", " "),
            "step": event.step or "",
            "share": share,
            "reason": event.reason,
            "detail": event.detail,
        }


async def _try(send: Callable[[], Awaitable[None]]) -> None:
    why = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_PAUSE_SECONDS)
        try:
            await asyncio.wait_for(send(), _TIMEOUT_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a receiver does, the rollout goes on
            why = str(error) or type(error).__name__
        else:
            return
    log.warning("a notification is lost", extra={"why": why})


def webhook(session: aiohttp.ClientSession, url: str) -> Send:
    """Return what posts our JSON to a URL; any status below 300 is success."""

    async def send(_: str, __: str, document: dict[str, Any]) -> None:
        async with session.post(url, json=document, allow_redirects=False) as response:
            if response.status >= 300:
                raise ConnectionError(f"HTTP {response.status}")

    return send


def service(url: str) -> Send:
    """Return what sends by Apprise, which knows the services by their URLs.

    Raise ModuleNotFoundError if Apprise is not installed, ValueError for a URL that it does not
    know.
    """
    import apprise  # noqa: PLC0415 - an extra: only who notifies needs it

    receiver = apprise.Apprise()
    if not receiver.add(url):
        raise ValueError("Apprise knows no service for it")

    async def send(title: str, body: str, _: dict[str, Any]) -> None:
        if not await asyncio.to_thread(receiver.notify, body=body, title=title):
            raise ConnectionError("the service refused it")

    return send


@contextlib.asynccontextmanager
async def open_notifier(
    namespace: str, specs: Sequence[NotifySpec], expand: Callable[[str], str]
) -> AsyncIterator[Notifier | None]:
    """Yield a notifier until the block ends, None if nobody is to be told.

    ``expand`` puts secrets into addresses. Raise as ``service`` does.
    """
    if not specs:
        yield None
        return
    async with aiohttp.ClientSession() as session:
        receivers = [
            (
                spec,
                webhook(session, expand(spec.webhook))
                if spec.webhook is not None
                else service(expand(spec.url or "")),
            )
            for spec in specs
        ]
        notifier = Notifier(namespace, receivers)
        try:
            yield notifier
        finally:
            await notifier.close()
