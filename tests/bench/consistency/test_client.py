"""The client reports the outcome of each request, and sends none twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.consistency.client import Client, Reply
from bench.frame.processes import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def answering(first: str, body: bytes, headers: str = "") -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {first}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    return serve


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """Serve until the block ends, then wait for the connections."""
    served: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*served)


async def send(*ports: int, timeout_seconds: float = 5.0) -> Reply:
    client = Client(ports, timeout_seconds)
    try:
        return await client.send("PUT", "/v1/kv/k", b"v")
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("first", "body", "outcome", "is_excused"),
    [
        ("201 Created", b"{}", "acknowledged", False),
        ("503 Service Unavailable", b'{"applied":"no"}', "refused", True),
        ("504 Gateway Timeout", b'{"applied":"unknown"}', "unknown", True),
        ("412 Precondition Failed", b'{"applied":"no"}', "refused", False),
        ("500 Internal Server Error", b"not a problem", "unknown", False),
    ],
)
async def test_the_outcome_follows_from_the_answer(
    first: str, body: bytes, outcome: str, is_excused: bool
) -> None:
    async with listening(answering(first, body)) as port:
        reply = await send(port)

    assert (reply.outcome, reply.is_excused) == (outcome, is_excused)
    assert reply.answer is not None
    assert reply.answer.body == body


async def test_a_refused_connection_is_a_refused_request() -> None:
    reply = await send(free_port())

    assert (reply.outcome, reply.answer) == ("refused", None)


async def test_a_service_that_refuses_connections_is_skipped() -> None:
    async with listening(answering("200 OK", b"")) as port:
        reply = await send(free_port(), port)

    assert reply.outcome == "acknowledged"


async def test_a_broken_connection_leaves_the_outcome_unknown_without_a_retry() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.close()

    async with listening(serve) as port:
        reply = await send(port, port)

    assert (reply.outcome, reply.answer, requests) == ("unknown", None, 1)


async def test_a_timeout_leaves_the_outcome_unknown() -> None:
    silent = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with listening(serve) as port:
        reply = await send(port, timeout_seconds=0.1)
        silent.set()

    assert reply.outcome == "unknown"
