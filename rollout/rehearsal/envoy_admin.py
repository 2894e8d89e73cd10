"""A client of Envoy's admin interface: readiness, statistics, draining."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import aiohttp

from ..envoy.configuration import Address
from .child_process import Child
from .errors import EnvoyAdminFailed
from .loopback import url_of

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
#: How long it may take until the end of a process that no longer answers is known.
_END_SECONDS: Final = 0.2


class EnvoyAdmin:
    """Sends requests to the admin listener; all but ``is_ready`` may raise EnvoyAdminFailed.

    https://www.envoyproxy.io/docs/envoy/latest/operations/admin
    """

    def __init__(self, address: Address, client: aiohttp.ClientSession) -> None:
        self._url = url_of(address)
        self._client = client
        #: Envoy's process, once it is ready: if it ends, an error says how.
        self.process: Child | None = None

    async def is_ready(self) -> bool:
        """Return True if Envoy is live; False if it is not, or does not respond."""
        try:
            return await self._request("GET", "/ready") == "LIVE\n"
        except EnvoyAdminFailed:
            return False

    async def stats(self, pattern: str) -> Mapping[str, str]:
        """Return the statistics whose name contains a match of ``pattern`` (RE2), by name."""
        text = await self._request("GET", "/stats", filter=pattern)
        found = (line.rpartition(": ") for line in text.splitlines())
        # Envoy quotes text values and leaves numbers unquoted.
        return {name: value.strip('"') for name, _, value in found}

    async def sum_of(self, pattern: str) -> int:
        """Return the sum of the counters and gauges that ``pattern`` (RE2) matches."""
        return sum(map(int, (await self.stats(pattern)).values()))

    async def drain(self) -> None:
        """Ask clients to close their connections to all listeners."""
        await self._request("POST", "/drain_listeners", graceful="")

    async def _request(self, method: str, path: str, **query: str) -> str:
        url = self._url + path
        try:
            async with self._client.request(
                method, url, params=query, timeout=_TIMEOUT
            ) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await self._explain_end()
            raise EnvoyAdminFailed(f"Envoy does not respond at {url}: {error!r}") from None
        if response.status not in {200, 503}:  # /ready returns 503 while Envoy starts
            raise EnvoyAdminFailed(f"Envoy returned {response.status} at {url}: {text}")
        return text

    async def _explain_end(self) -> None:
        """Raise EnvoyAdminFailed, with the end of its log, if Envoy has ended."""
        if self.process is None:
            return
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(self.process.wait(), _END_SECONDS)
            log = self.process.log_tail() or "its log is empty"
            raise EnvoyAdminFailed(f"Envoy ended with code {code}: {log}")
