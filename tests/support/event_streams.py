"""A client of watches: reads server-sent events, and keeps what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.waiting import PATIENT_SECONDS


@dataclass(frozen=True)
class Event:
    """One event as it came."""

    name: str
    id: str
    data: dict[str, Any]


@dataclass
class Watch:
    """What a watch has told so far."""

    response: aiohttp.ClientResponse
    events: list[Event] = field(default_factory=list)
    #: The last data by key or name, without those that are deleted.
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_synced: bool = False
    is_over: bool = False
    heard: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    @property
    def last_id(self) -> str:
        return self.events[-1].id

    def take(self, event: Event) -> None:
        self.events.append(event)
        name = event.data.get("key", event.data.get("name", ""))
        if event.name in {"entry", "counter"}:
            self.state[name] = event.data
        elif event.name == "deleted":
            self.state.pop(name, None)
        elif event.name == "reset":
            self.state.clear()
        self.is_synced = (self.is_synced and event.name != "reset") or event.name == "synced"

    async def until(self, holds: Callable[[Watch], bool]) -> None:
        """Wait until it holds, and the present state was told."""
        async with asyncio.timeout(PATIENT_SECONDS), self.heard:
            await self.heard.wait_for(lambda: self.is_synced and holds(self))

    async def over(self) -> None:
        """Wait for the end of the stream."""
        async with asyncio.timeout(PATIENT_SECONDS), self.heard:
            await self.heard.wait_for(lambda: self.is_over)

    async def read(self) -> None:
        fields: dict[str, str] = {}
        with contextlib.suppress(aiohttp.ClientError):
            async for raw in self.response.content:
                line = raw.decode().removesuffix("\n")
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif not line and "event" in fields:
                    event = Event(fields["event"], fields["id"], json.loads(fields["data"]))
                    fields = {}
                    async with self.heard:
                        self.take(event)
                        self.heard.notify_all()
        async with self.heard:
            self.is_over = True
            self.heard.notify_all()


@contextlib.asynccontextmanager
async def watching(
    client: aiohttp.ClientSession, url: Any, headers: dict[str, str] | None = None
) -> AsyncIterator[Watch]:
    """Watch until the block ends."""
    accept = {"Accept": "text/event-stream", **(headers or {})}
    timeout = aiohttp.ClientTimeout(total=None)
    async with client.get(url, headers=accept, timeout=timeout) as response:
        assert response.status == 200, await response.text()
        watch = Watch(response)
        task = asyncio.create_task(watch.read())
        try:
            yield watch
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
