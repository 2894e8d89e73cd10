"""Requests through the gateway at a given rate, whether it keeps up or not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

import aiohttp

from .requests import Mix, Request
from .tally import NO_ANSWER, Answered, Tally

#: Those under way at once; what is due beyond is skipped, and counted.
CONCURRENCY: Final = 256
#: Longer than any timeout of the routes here.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20.0)
#: How long requests under way may take to end when it is over.
_SETTLE_SECONDS: Final = 2.0
_TICK_SECONDS: Final = 0.005
#: Of an increment, all with the same Idempotency-Key.
_TRIES: Final = 4
_RETRY_SECONDS: Final = 0.1
TRACK: Final = "KV-Track"
VERSION: Final = "KV-Version"


class Traffic:
    """Open-loop clients: the next request is sent when it is due, not when one was answered."""

    def __init__(self, gateway: str, host: str, mix: Mix, rate: float) -> None:
        """``gateway`` is the listener's URL, ``host`` whom they ask for, ``rate`` per second."""
        self.tally = Tally()
        self.rate = rate
        self._gateway = gateway
        self._host = host
        self._mix = mix
        self._under_way: set[asyncio.Task[None]] = set()
        self._sending: asyncio.Task[None] | None = None
        self._started = 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Tally]:
        """Send requests until the block ends, or ``stop``; yield what is counted."""
        async with self._client() as client:
            self._sending = asyncio.create_task(self._send(client))
            try:
                yield self.tally
            finally:
                await self.stop()

    async def stop(self) -> None:
        """Send no more, and return once those under way ended, or had their time."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            self._sending = None
            await self._settle()

    async def check_counters(self) -> Mapping[str, int]:
        """Stop, and return which counters do not have what was acknowledged, by how much.

        None if no increment was lost or made twice. Raises aiohttp.ClientError.
        """
        await self.stop()
        values = {}
        async with self._client() as client:
            for counter in self.tally.acknowledged | self.tally.unsettled:
                async with client.get(
                    f"{self._gateway}/v1/counters/{counter}", headers={"Host": self._host}
                ) as response:
                    if response.status != 404:
                        response.raise_for_status()
                        values[counter] = int((await response.json())["value"])
        return self.tally.wrong_counters(values)

    def _client(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONCURRENCY),
            timeout=_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _send(self, client: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        self._started = loop.time()
        sent = 0
        while True:
            due = int((loop.time() - self._started) * self.rate)
            for _ in range(due - sent):
                if len(self._under_way) >= CONCURRENCY:
                    self.tally.skipped += 1
                    continue
                task = asyncio.create_task(self._ask(client, self._mix.draw()))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            sent = due
            await asyncio.sleep(_TICK_SECONDS)

    async def _ask(self, client: aiohttp.ClientSession, request: Request) -> None:
        if request.counter is None:
            await self._try(client, request)
            return
        # Unsettled while it is under way, also if that is cut short.
        self.tally.unsettled[request.counter] += 1
        for attempt in range(_TRIES):
            answered = await self._try(client, request)
            if not answered.failed:
                break
            await asyncio.sleep(_RETRY_SECONDS * 2**attempt)
        else:
            return
        self.tally.unsettled[request.counter] -= 1
        if answered.status < 300:
            self.tally.acknowledged[request.counter] += 1

    async def _try(self, client: aiohttp.ClientSession, request: Request) -> Answered:
        try:
            async with client.request(
                request.method,
                self._gateway + request.path,
                headers={"Host": self._host, **request.headers},
                data=request.body,
                allow_redirects=False,
            ) as response:
                await response.read()
                headers = response.headers
                answered = Answered(
                    response.status, headers.get(TRACK, ""), headers.get(VERSION, "")
                )
        except (aiohttp.ClientError, TimeoutError, OSError):
            answered = Answered(NO_ANSWER)
        second = int(asyncio.get_running_loop().time() - self._started)
        self.tally.add(answered, second)
        return answered

    async def _settle(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_SETTLE_SECONDS)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
