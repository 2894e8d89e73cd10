"""An open-loop load generator: sends requests through the gateway at a fixed rate."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import aiohttp

from ..evidence.failures import NO_RESPONSE
from .client_results import ClientResponse, ClientResults
from .entrance import Entrance
from .request_mix import Request, RequestMix

#: The most requests in flight. Requests that are due beyond it are skipped and counted.
MAX_IN_FLIGHT: Final = 256
#: Longer than any timeout of the routes.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20.0)
#: How long requests in flight may take to complete at the end.
_FINISH_SECONDS: Final = 2.0
_TICK_SECONDS: Final = 0.005
#: Attempts of an increment, all with the same Idempotency-Key.
_ATTEMPTS: Final = 4
_FIRST_BACKOFF_SECONDS: Final = 0.1
TRACK: Final = "KV-Track"
VERSION: Final = "KV-Version"
_GRPC_STATUS: Final = "grpc-status"


class LoadGenerator:
    """Sends each request when it is due, whether or not earlier ones have been answered."""

    def __init__(self, entrances: Sequence[Entrance], mix: RequestMix, rate: float) -> None:
        """``rate`` is in requests per second; each goes to a random entrance."""
        self.results = ClientResults()
        self.rate = rate
        self._entrances = tuple(entrances)
        self._mix = mix
        self._in_flight: set[asyncio.Task[None]] = set()
        self._sending: asyncio.Task[None] | None = None
        self._started = 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ClientResults]:
        """Send requests until the block ends or ``stop`` is called; yield the results."""
        async with self._client() as client:
            self._sending = asyncio.create_task(self._send_at_rate(client))
            try:
                yield self.results
            finally:
                await self.stop()

    async def stop(self) -> None:
        """Send no more requests; wait up to 2 s for those in flight, then cancel them."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            self._sending = None
            await self._finish()

    async def check_counters(self) -> Mapping[str, int]:
        """Stop; read all counters; return the error of each wrong one, by counter.

        The result is empty if no increment was lost or made twice. Raise aiohttp.ClientError.
        """
        await self.stop()
        values = {}
        entrance = self._entrances[0]
        async with self._client() as client:
            for counter in self.results.acknowledged | self.results.indeterminate:
                async with client.get(
                    f"{entrance.url}/v1/counters/{counter}",
                    headers=entrance.headers,
                    **entrance.tls,
                ) as response:
                    if response.status != 404:
                        response.raise_for_status()
                        values[counter] = int((await response.json())["value"])
        return self.results.counter_errors(values)

    def _client(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_IN_FLIGHT),
            timeout=_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _send_at_rate(self, client: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        self._started = loop.time()
        sent = 0
        while True:
            due = int((loop.time() - self._started) * self.rate)
            for _ in range(due - sent):
                if len(self._in_flight) >= MAX_IN_FLIGHT:
                    self.results.skipped += 1
                    continue
                task = asyncio.create_task(self._send(client, self._mix.draw()))
                self._in_flight.add(task)
                task.add_done_callback(self._in_flight.discard)
            sent = due
            await asyncio.sleep(_TICK_SECONDS)

    async def _send(self, client: aiohttp.ClientSession, request: Request) -> None:
        """Send a request; retry an increment that failed."""
        if request.counter is None:
            await self._attempt(client, request)
            return
        # Count it before sending: it stays indeterminate if it is cancelled in flight.
        self.results.indeterminate[request.counter] += 1
        for attempt in range(_ATTEMPTS):
            response = await self._attempt(client, request)
            if not response.failed:
                break
            await asyncio.sleep(_FIRST_BACKOFF_SECONDS * 2**attempt)
        else:
            return
        self.results.indeterminate[request.counter] -= 1
        if response.status < 300:
            self.results.acknowledged[request.counter] += 1

    async def _attempt(self, client: aiohttp.ClientSession, request: Request) -> ClientResponse:
        entrance = random.choice(self._entrances)
        try:
            async with client.request(
                request.method,
                entrance.url + request.path,
                headers={**entrance.headers, **request.headers},
                data=request.body,
                allow_redirects=False,
                **entrance.tls,
            ) as answer:
                await answer.read()
                headers = answer.headers
                # Trailers are not read: a call that fails at once has its status among the headers.
                grpc = headers.get(_GRPC_STATUS, "")
                response = ClientResponse(
                    answer.status,
                    headers.get(TRACK, ""),
                    headers.get(VERSION, ""),
                    int(grpc) if grpc.isdecimal() else None,
                )
        except (aiohttp.ClientError, TimeoutError, OSError):
            response = ClientResponse(NO_RESPONSE)
        second = int(asyncio.get_running_loop().time() - self._started)
        self.results.add(response, second)
        return response

    async def _finish(self) -> None:
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_FINISH_SECONDS)
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
