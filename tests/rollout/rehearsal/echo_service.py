"""A small HTTP service that returns its track and version in headers and counts its requests.

Run as a program; it listens on ``PORT``. ``/counts`` returns the requests by method and is not
counted itself. ``/fail`` returns 503. ``/slow`` is answered when somebody asks for ``/go``, which
returns how many requests that were.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from typing import ClassVar


class Echo(asyncio.Protocol):
    """One connection, with one request at a time."""

    #: The connections that wait for ``/go``.
    waiting: ClassVar[list[Echo]] = []

    def __init__(self, counts: Counter[str], track: str, version: str) -> None:
        self._counts = counts
        self._headers = f"KV-Track: {track}\r\nKV-Version: {version}\r\n"
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].decode("latin-1")
            length = _content_length(head)
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            self._answer(*head.split(" ", 2)[:2])

    def _answer(self, method: str, path: str) -> None:
        if path == "/counts":
            self._send(200, json.dumps(self._counts))
            return
        self._counts[method] += 1
        if path == "/slow":
            self.waiting.append(self)
        elif path == "/go":
            answered = len(self.waiting)
            while self.waiting:
                self.waiting.pop()._send(200, "slow")
            self._send(200, str(answered))
        else:
            self._send(503 if path == "/fail" else 200, "")

    def _send(self, status: int, body: str) -> None:
        head = f"HTTP/1.1 {status} -\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        self._transport.write((head + body).encode())


def _content_length(head: str) -> int:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


async def main() -> None:
    counts: Counter[str] = Counter()
    track, version = os.environ.get("KV_TRACK", ""), os.environ.get("KV_VERSION", "")
    server = await asyncio.get_running_loop().create_server(
        lambda: Echo(counts, track, version), "127.0.0.1", int(os.environ["PORT"])
    )
    async with server:
        await stopped()


async def stopped() -> None:
    """Wait for SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
