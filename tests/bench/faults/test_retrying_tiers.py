"""The tiers of the retry storm: they try as often as they say, and no more once it succeeded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.faults import retrying_tiers
from bench.faults.retrying_tiers import Tiers
from bench.testbed.operations import request


@asynccontextmanager
async def refusing(times: int) -> AsyncIterator[Tiers]:
    """Refuse so many requests, then let them succeed."""
    asked = 0
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                asked += 1
                status = b"503 No" if asked <= times else b"200 OK"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n" % status)
                writer.write(b"{}")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        way = Tiers(server.sockets[0].getsockname()[1], request("GET", "/"))
        try:
            yield way
        finally:
            way.close()
            await asyncio.gather(*served)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not make a tier give up."""
    monkeypatch.setattr(retrying_tiers, "ATTEMPT_SECONDS", 60.0)


async def test_three_tiers_of_three_attempts_are_27_requests() -> None:
    async with refusing(100) as way:
        assert not await way.ask()

        assert way.attempts == 27


@pytest.mark.parametrize("refusals", [0, 1, 8, 26])
async def test_the_first_success_ends_it(refusals: int) -> None:
    async with refusing(refusals) as way:
        assert await way.ask()

        assert way.attempts == refusals + 1
