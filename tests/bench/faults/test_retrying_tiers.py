"""The tiers of the retry storm make all their attempts, and none after a success."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.faults import retrying_tiers
from bench.faults.retrying_tiers import Tiers
from bench.testbed.operations import render_request


@asynccontextmanager
async def refusing(times: int) -> AsyncIterator[Tiers]:
    """Refuse this many requests, then answer with 200."""
    received = 0
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                received += 1
                status = b"503 No" if received <= times else b"200 OK"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n" % status)
                writer.write(b"{}")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        callers = Tiers(server.sockets[0].getsockname()[1], render_request("GET", "/"))
        try:
            yield callers
        finally:
            callers.close()
            await asyncio.gather(*served)


@pytest.fixture(autouse=True)
def long_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not make a tier give up."""
    monkeypatch.setattr(retrying_tiers, "ATTEMPT_SECONDS", 60.0)


async def test_three_tiers_of_three_attempts_are_27_requests() -> None:
    async with refusing(100) as callers:
        assert not await callers.send()

        assert callers.attempts == 27


@pytest.mark.parametrize("refusals", [0, 1, 8, 26])
async def test_the_first_success_ends_it(refusals: int) -> None:
    async with refusing(refusals) as callers:
        assert await callers.send()

        assert callers.attempts == refusals + 1
