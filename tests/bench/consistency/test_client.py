"""The client says what became of a request, and sends none twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.consistency.client import Client, Told
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
    """Serve until the block ends and all that it serves has ended."""
    served: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*served)


async def ask(*ports: int, timeout_seconds: float = 5.0) -> Told:
    client = Client(ports, timeout_seconds)
    try:
        return await client.ask("PUT", "/v1/kv/k", b"v")
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
async def test_an_answer_says_what_was_applied(
    first: str, body: bytes, outcome: str, is_excused: bool
) -> None:
    async with listening(answering(first, body)) as port:
        told = await ask(port)

    assert (told.outcome, told.is_excused) == (outcome, is_excused)
    assert told.answer is not None
    assert told.answer.body == body


async def test_where_nobody_listens_nothing_was_applied() -> None:
    told = await ask(free_port())

    assert (told.outcome, told.answer) == ("refused", None)


async def test_one_that_refuses_is_passed_over() -> None:
    async with listening(answering("200 OK", b"")) as port:
        told = await ask(free_port(), port)

    assert told.outcome == "acknowledged"


async def test_a_connection_that_breaks_leaves_it_unknown_and_is_not_tried_again() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.close()

    async with listening(serve) as port:
        told = await ask(port, port)

    assert (told.outcome, told.answer, requests) == ("unknown", None, 1)


async def test_silence_leaves_it_unknown() -> None:
    silent = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with listening(serve) as port:
        told = await ask(port, timeout_seconds=0.1)
        silent.set()

    assert told.outcome == "unknown"
