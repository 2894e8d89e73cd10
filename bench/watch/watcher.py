"""A client that watches, comes back when a watch ends, and notes when it was told what."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: The pause before it connects again, and the timeout of a connection with its first line.
RETRY_SECONDS: Final = 0.1
CONNECT_SECONDS: Final = 0.5
#: Longer than the time between two heartbeats.
SILENCE_SECONDS: Final = 20.0


@dataclass
class Watcher:
    """Watches one path. Values are numbers, which grow."""

    ports: Sequence[int]
    path: str
    state: dict[str, int] = field(default_factory=dict)
    #: When it was told each value: name, value, loop time.
    told: list[tuple[str, int, float]] = field(default_factory=list)
    reversed: int = 0
    resets: int = 0
    connections: int = 0
    is_synced: bool = False
    _last_id: str = ""

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        number = 0
        while True:
            port = self.ports[number % len(self.ports)]
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                await self._connect(port)
            number += 1
            self.is_synced = False
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self, port: int) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            headers = f"Host: 127.0.0.1\r\nAccept: text/event-stream\r\n{self._resume()}"
            writer.write(f"GET {self.path} HTTP/1.1\r\n{headers}\r\n".encode())
            async with asyncio.timeout(CONNECT_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                return
            self.connections += 1
            fields: dict[str, str] = {}
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    line = (await reader.readuntil(b"\n")).decode().rstrip("\r\n")
                name, colon, value = line.partition(": ")
                if colon and name in {"id", "event", "data"}:
                    fields[name] = value
                elif not line and "data" in fields:
                    self._take(fields["event"], fields["id"], json.loads(fields["data"]))
                    fields = {}
        finally:
            writer.transport.abort()

    def _resume(self) -> str:
        return f"Last-Event-ID: {self._last_id}\r\n" if self._last_id else ""

    def _take(self, event: str, last_id: str, data: dict[str, Any]) -> None:
        self._last_id = last_id
        name = data.get("key", data.get("name", ""))
        if event in {"entry", "counter"}:
            value = int(data["value"])
            if value < self.state.get(name, value):
                self.reversed += 1
            self.state[name] = value
            self.told.append((name, value, asyncio.get_running_loop().time()))
        elif event == "deleted":
            self.state.pop(name, None)
        elif event == "reset":
            self.resets += 1
            self.state.clear()
        elif event == "synced":
            self.is_synced = True
