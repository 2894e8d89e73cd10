"""HTTP over a plain socket, for requests that HTTP clients can't send."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

from tests.support.waiting import PATIENT_SECONDS


@dataclass(frozen=True)
class RawResponse:
    version: str
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One connection: write bytes, read responses, check whether it is closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes | str) -> None:
        for part in parts:
            self.writer.write(part.encode() if isinstance(part, str) else part)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def end(self) -> None:
        """Close our side of the connection, and leave the other open."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()

    async def answer(
        self, *, seconds: float = PATIENT_SECONDS, head_only: bool = False
    ) -> RawResponse:
        async with asyncio.timeout(seconds):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            version, status, _ = lines[0].split(" ", 2)
            pairs = (line.split(": ", 1) for line in lines[1:] if line)
            headers = CIMultiDict((name, value) for name, value in pairs)
            body = b""
            if not head_only and int(status) not in {100, 204, 304}:
                if "Content-Length" in headers:
                    body = await self.reader.readexactly(int(headers["Content-Length"]))
                elif headers.get("Transfer-Encoding") == "chunked":
                    raise AssertionError("no answer of the service is chunked")
                else:
                    body = await self.reader.read()
            return RawResponse(version, int(status), headers, body)

    async def closed(self, *, seconds: float = PATIENT_SECONDS) -> bool:
        """Return True if the server closes the connection in time. Ignore what it sends before."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def raw_connection(port: int) -> AsyncIterator[RawConnection]:
    async with asyncio.timeout(PATIENT_SECONDS):
        wire = RawConnection(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield wire
    finally:
        await wire.close()


async def exchange(port: int, *parts: bytes | str, head_only: bool = False) -> RawResponse:
    """Send on a new connection, and return the first response."""
    async with raw_connection(port) as wire:
        await wire.send(*parts)
        return await wire.answer(head_only=head_only)
