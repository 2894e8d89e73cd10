"""A network that misbehaves: a TCP proxy between the service and Redis.

What is lost on a real network reaches a TCP connection as silence until the sender tries again, so
loss is shown as that. Network namespaces with tc would need a kernel module and root.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Final

#: Linux's least time until a segment is sent again.
RESEND_SECONDS: Final = 0.2


class Network:
    """Passes bytes on both ways; its attributes may change while it does."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        #: Added to every piece of data, in each direction.
        self.delay_seconds = 0.0
        #: How many of the pieces are lost, and so come late.
        self.loss_ratio = 0.0
        #: Whether bytes vanish, and nobody is told.
        self.is_silent = False
        self._refuses = False
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        #: Connections that never pass anything again, though both ends think they live.
        self._dead: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection, and those to come."""
        self._refuses = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Be a good network again; what was dead stays dead."""
        self._refuses = self.is_silent = False
        self.delay_seconds = self.loss_ratio = 0.0

    def forget_connections(self) -> None:
        """Leave every connection half open, as a peer does that lost its power."""
        self._dead |= self._writers

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                delay = self.delay_seconds
                if random.random() < self.loss_ratio:
                    delay += RESEND_SECONDS
                if delay:
                    await asyncio.sleep(delay)
                if self.is_silent:
                    # Whoever lost a piece of a stream can't go on with it.
                    self._dead.add(writer)
                if writer in self._dead:
                    continue
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            self._dead.discard(writer)
            writer.close()

    async def close(self) -> None:
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


@contextlib.asynccontextmanager
async def running_network(
    target_port: int, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Network]:
    network = Network(target_port)
    server = await asyncio.start_server(network.accept, host, port)
    network.port = server.sockets[0].getsockname()[1]
    try:
        yield network
    finally:
        server.close()
        await network.close()
        await server.wait_closed()
