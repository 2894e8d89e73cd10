"""Both clients behind one face, so that a test runs on each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from svc.client import AsyncClient, Client

KINDS: Final = ("awaiting", "blocking")


class Awaited:
    """A blocking client, each of whose calls runs in a thread."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            return await asyncio.to_thread(getattr(self.client, name), *arguments, **named)

        return call

    async def all(self, name: str, *arguments: Any, **named: Any) -> list[Any]:
        return await asyncio.to_thread(
            lambda: list(getattr(self.client, name)(*arguments, **named))
        )


class Awaiting:
    """A client that awaits, with its iterators as lists."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    async def all(self, name: str, *arguments: Any, **named: Any) -> list[Any]:
        return [each async for each in getattr(self.client, name)(*arguments, **named)]


@contextlib.asynccontextmanager
async def open_client(kind: str, base_url: str, **options: Any) -> AsyncIterator[Any]:
    """Yield a client of this kind. It waits for long, as machines may be busy."""
    options = {"deadline": 120.0, "try_timeout": 60.0, **options}
    if kind == "awaiting":
        async with AsyncClient(base_url, **options) as client:
            yield Awaiting(client)
    else:
        with Client(base_url, **options) as blocking:
            yield Awaited(blocking)
