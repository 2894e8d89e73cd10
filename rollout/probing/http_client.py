"""A client that sends many requests fast, on several connections at once."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..envoy.configuration import Address
from ..rehearsal.errors import RehearsalFailed

#: To an address, for one list of requests.
_CONNECTIONS: Final = 24
_TIMEOUT_SECONDS: Final = 60.0
_ATTEMPTS: Final = 4
_BODILESS: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class RawResponse:
    """``status`` is 0 if the connection was closed instead of an answer."""

    status: int
    head: bytes
    body: bytes


CLOSED: Final = RawResponse(0, b"", b"")


class HttpClient:
    """Sends requests of HTTP/1.1 and keeps connections open."""

    def __init__(self) -> None:
        self._idle: dict[Any, list[_Connection]] = {}

    async def send(
        self,
        address: Address,
        requests: Sequence[bytes],
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
    ) -> list[RawResponse]:
        """Send requests to one address; return the responses in the same order."""
        parts = min(_CONNECTIONS, -(-len(requests) // 8)) or 1
        found = await asyncio.gather(
            *(
                self._send(address, requests[index::parts], tls, server_name)
                for index in range(parts)
            )
        )
        responses = [CLOSED] * len(requests)
        for index, each in enumerate(found):
            responses[index::parts] = each
        return responses

    async def close(self) -> None:
        """Close all connections."""
        for each in self._idle.values():
            for connection in each:
                connection.close()
        self._idle.clear()

    async def _send(
        self,
        address: Address,
        requests: Sequence[bytes],
        tls: ssl.SSLContext | None,
        server_name: str,
    ) -> list[RawResponse]:
        key = (address, server_name if tls else None)
        done: list[RawResponse] = []
        failed = 0
        while len(done) < len(requests):
            idle = self._idle.setdefault(key, [])
            connection = idle.pop() if idle else await self._connect(address, tls, server_name)
            if connection is not None:
                new = await connection.exchange(requests[len(done) :])
                done += new
                failed = 0 if new else failed + 1
                if connection.is_open:
                    idle.append(connection)
            else:
                failed += 1
            if failed >= _ATTEMPTS:
                # This request is why: the listener closes its connection.
                done.append(CLOSED)
                failed = 0
        return done

    async def _connect(
        self, address: Address, tls: ssl.SSLContext | None, server_name: str
    ) -> _Connection | None:
        connection = _Connection()
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    *address,
                    ssl=tls,
                    server_hostname=server_name if tls else None,
                )
            return connection
        return None


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._requests: Sequence[bytes] = ()
        self._done: list[RawResponse] = []
        self._ready: asyncio.Future[None] | None = None
        self.is_open = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        self.is_open = False
        self._finish()

    def close(self) -> None:
        self._transport.close()

    async def exchange(self, requests: Sequence[bytes]) -> list[RawResponse]:
        """Send requests one by one; return the responses until the connection ended."""
        if not self.is_open:
            return []
        self._requests, self._done = requests, []
        self._ready = asyncio.get_running_loop().create_future()
        # Not the next one before the answer: Envoy may then wait a second, and close.
        self._transport.write(requests[0])
        while not self._ready.done():
            before = len(self._done)
            await asyncio.wait([self._ready], timeout=_TIMEOUT_SECONDS)
            if not self._ready.done() and len(self._done) == before:
                self._transport.abort()
                first = requests[before].partition(b"\r\n")[0].decode("latin-1")
                raise RehearsalFailed(
                    f"Envoy has not answered after {_TIMEOUT_SECONDS:g} s: {first}"
                )
        return self._done

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        at = len(self._done)
        if at == len(self._requests):
            return
        response = self._parsed(head_only=self._requests[at].startswith(b"HEAD "))
        if response is None:
            return
        self._done.append(response)
        if b"\r\nconnection: close" in response.head.lower():
            self.is_open = False
            self._transport.close()
            self._finish()
        elif len(self._done) < len(self._requests):
            self._transport.write(self._requests[len(self._done)])
        else:
            self._finish()

    def _finish(self) -> None:
        if self._ready and not self._ready.done():
            self._ready.set_result(None)

    def _parsed(self, *, head_only: bool) -> RawResponse | None:
        """Take a whole response from the buffer."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._buffer[:end])
        status = int(head[9:12])
        if head_only or status in _BODILESS or status < 200:
            del self._buffer[: end + 4]
            return RawResponse(status, head, b"")
        lowered = head.lower()
        at = lowered.find(b"\r\ncontent-length:")
        if at >= 0:
            length = int(lowered[at + 17 :].partition(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return None
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            return RawResponse(status, head, body)
        if b"\r\ntransfer-encoding: chunked" in lowered:
            return self._chunked(status, head, end + 4)
        del self._buffer[: end + 4]
        return RawResponse(status, head, b"")

    def _chunked(self, status: int, head: bytes, at: int) -> RawResponse | None:
        body = bytearray()
        while True:
            line = self._buffer.find(b"\r\n", at)
            if line < 0:
                return None
            size = int(bytes(self._buffer[at:line]).partition(b";")[0], 16)
            if len(self._buffer) < line + 4 + size:
                return None
            body += self._buffer[line + 2 : line + 2 + size]
            at = line + 4 + size
            if size == 0:
                del self._buffer[:at]
                return RawResponse(status, head, bytes(body))
