"""A TCP proxy between the service and Redis that injects faults of the network.

TCP sends a lost segment again after a timeout, so loss is simulated as a delay. Real loss, with tc
in a network namespace, would need a kernel module and root.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Final

#: Linux's minimum retransmission timeout.
RETRANSMIT_SECONDS: Final = 0.2


class NetworkProxy:
    """Forwards bytes both ways. Its attributes may change meanwhile."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        #: Added to every chunk, in each direction.
        self.delay_seconds = 0.0
        #: The part of the chunks that arrives late.
        self.loss_ratio = 0.0
        #: Whether bytes vanish without a reset.
        self.drops_all = False
        self._refuses = False
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        #: Connections that forward nothing more, though both ends consider them open.
        self._half_open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        self._refuses = True
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        """End the fault. Half-open connections stay half open."""
        self._refuses = self.drops_all = False
        self.delay_seconds = self.loss_ratio = 0.0

    def leave_half_open(self) -> None:
        """Leave all connections half open, as a peer that loses power does."""
        self._half_open |= self._writers

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
                    delay += RETRANSMIT_SECONDS
                if delay:
                    await asyncio.sleep(delay)
                if self.drops_all:
                    # The rest of the stream is useless without these bytes.
                    self._half_open.add(writer)
                if writer in self._half_open:
                    continue
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            self._half_open.discard(writer)
            writer.close()

    async def close(self) -> None:
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


@contextlib.asynccontextmanager
async def running_proxy(
    target_port: int, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[NetworkProxy]:
    """Run a proxy to a port of loopback until the block ends."""
    proxy = NetworkProxy(target_port)
    server = await asyncio.start_server(proxy.accept, host, port)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
