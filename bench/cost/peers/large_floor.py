"""The least that a large value can cost in Python on its way to Redis or back.

A value passes the socket of the client and that of Redis. This server receives a value right into
memory that it keeps, copies nothing that aiohttp does not copy, and checks nothing. Everything that
tallykv's large values cost more is the price of its contract.
"""

import asyncio
import os
from typing import Final, cast
from urllib.parse import urlsplit

from aiohttp import web

from .serving import serve

REDIS: Final = urlsplit(os.environ["REDIS_URL"])
#: Of a value and the words around it.
ROOM_BYTES: Final = 2 << 20


class Pipe(asyncio.BufferedProtocol):
    """A connection to Redis for one command at a time, whose reply is received in place."""

    def __init__(self) -> None:
        self._memory = memoryview(bytearray(ROOM_BYTES))
        self._received = 0
        self._transport = cast(asyncio.Transport, None)
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, _: int) -> memoryview:
        return self._memory[self._received :]

    def buffer_updated(self, size: int) -> None:
        self._received += size
        if self._answered is not None and self._is_whole() and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionError("Redis closed the connection"))

    def _is_whole(self) -> bool:
        line = bytes(self._memory[: min(self._received, 32)]).partition(b"\r\n")[0]
        if not line.startswith(b"$"):
            return True
        return self._received >= len(line) + 2 + int(line[1:]) + 2

    async def ask(self, *parts: bytes) -> memoryview:
        """Send a command, and return the reply; valid until the next one."""
        self._received = 0
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.writelines(parts)
        await self._answered
        return self._memory[: self._received]


free: list[Pipe] = []


async def take() -> Pipe:
    if free:
        return free.pop()
    loop = asyncio.get_running_loop()
    host, port = REDIS.hostname or "", REDIS.port or 6379
    _, pipe = await loop.create_connection(Pipe, host, port)
    return pipe


def head_of(verb: bytes, key: bytes, *, more: int) -> bytes:
    """Return the beginning of a command, in RESP, that has ``more`` words after the key."""
    return b"*%d\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (2 + more, len(verb), verb, len(key), key)


async def read(request: web.Request) -> web.StreamResponse:
    pipe = await take()
    reply = await pipe.ask(head_of(b"GET", request.match_info["key"].encode(), more=0))
    start = bytes(reply[:32]).index(b"\r\n") + 2
    response = web.StreamResponse()
    response.content_type = "application/octet-stream"
    response.content_length = len(reply) - start - 2
    await response.prepare(request)
    await response.write(reply[start:-2])
    await response.write_eof()
    free.append(pipe)
    return response


async def write(request: web.Request) -> web.Response:
    body = await request.read()
    pipe = await take()
    head = head_of(b"SET", request.match_info["key"].encode(), more=1)
    reply = await pipe.ask(head + b"$%d\r\n" % len(body), body, b"\r\n")
    if bytes(reply) != b"+OK\r\n":
        raise web.HTTPBadGateway
    free.append(pipe)
    return web.Response(status=204)


def build_app() -> web.Application:
    app = web.Application(client_max_size=2 << 20)
    app.add_routes([web.get("/kv/{key}", read), web.put("/kv/{key}", write)])
    return app


if __name__ == "__main__":
    serve(build_app())
