"""What a running Envoy says of itself on its admin listener."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp

from ..envoy.configuration import Address
from .loopback import url_of
from .programs import RehearsalFailed

_SECONDS: Final = aiohttp.ClientTimeout(total=5.0)


class EnvoySilent(RehearsalFailed):
    """Envoy does not answer on its admin listener."""


class EnvoyAdmin:
    """Asks the admin listener; every question may raise EnvoySilent."""

    def __init__(self, address: Address, client: aiohttp.ClientSession) -> None:
        self.address = address
        self._client = client

    @property
    def url(self) -> str:
        return url_of(self.address)

    async def is_ready(self) -> bool:
        try:
            return await self._ask("GET", "/ready") == "LIVE\n"
        except EnvoySilent:
            return False

    async def stats(self, pattern: str) -> Mapping[str, str]:
        """Return the stats whose name the regular expression (RE2) finds, by name."""
        answer = await self._ask("GET", "/stats", filter=pattern)
        found = (line.rpartition(": ") for line in answer.splitlines())
        # Texts are in quotes, numbers are not.
        return {name: value.strip('"') for name, _, value in found}

    async def sum_of(self, pattern: str) -> int:
        """Return the sum of the counters whose name the regular expression (RE2) finds."""
        return sum(map(int, (await self.stats(pattern)).values()))

    async def drain(self) -> None:
        """Have the listeners ask for no more requests on their connections."""
        await self._ask("POST", "/drain_listeners", graceful="")

    async def _ask(self, method: str, path: str, **query: str) -> str:
        try:
            async with self._client.request(
                method, self.url + path, params=query, timeout=_SECONDS
            ) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EnvoySilent(f"Envoy does not answer at {self.url}{path}: {error!r}") from None
        if response.status not in {200, 503}:  # /ready says 503 while it is not
            raise EnvoySilent(f"Envoy answers {response.status} at {self.url}{path}: {text}")
        return text
