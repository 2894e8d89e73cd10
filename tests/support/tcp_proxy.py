"""A TCP proxy before Redis or the service that can lose replies, and delay requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """Forwards requests, and forwards replies unless it must drop them."""

    def __init__(self, target_port: int) -> None:
        #: The target of new connections.
        self.target_port = target_port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        #: Replies that are still forwarded before any is dropped.
        self.passes = 0
        self.drops_replies = False
        #: Connections still to be closed instead of forwarding a reply.
        self.cuts = 0
        #: Close the connection instead of every so manyth reply; 0: of none.
        self.cut_every = 0
        self._replied = 0
        self.dropped = 0
        self.holds_requests = False
        #: The requests that were held, until ``deliver``.
        self.held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self.accepted = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, up_writer}
        for pump in (self._requests(reader, up_writer), self._replies(up_reader, writer)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.holds_requests:
                    self.held.append((writer, data))
                    continue
                writer.write(data)
                await writer.drain()
        if all(writer is not each for each, _ in self.held):
            writer.close()

    async def deliver(self) -> None:
        """Forward what is held, whatever became of its sender, and hold no more."""
        self.holds_requests = False
        for writer, data in self.held:
            writer.write(data)
            await writer.drain()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self._replied += 1
                if self.cut_every and self._replied % self.cut_every == 0:
                    self.dropped += 1
                    break
                if self.passes:
                    self.passes -= 1
                elif self.cuts:
                    self.cuts -= 1
                    self.dropped += 1
                    break
                elif self.drops_replies:
                    self.dropped += 1
                    continue
                writer.write(data)
                await writer.drain()
        writer.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def running_proxy(target_port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(target_port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
