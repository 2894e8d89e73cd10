"""A client that asks two releases for a bit of everything, split by weight, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from yarl import URL

from tests.support.mesh_view import MeshView
from tests.support.ports import free_port
from tests.support.raw_http import raw_connection

WORKERS: Final = 8
PAUSE_SECONDS: Final = 0.02
BURST: Final = 24
BURST_EVERY_SECONDS: Final = 5.0
#: On a busy machine, bursts must not become a large part of the requests: most of one is refused.
BURST_EVERY_REQUESTS: Final = 600
JSON: Final = {"Content-Type": "application/json"}
PATCH: Final = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Destination:
    """A release as the client sees it."""

    track: str
    version: str
    port: int


@dataclass(frozen=True)
class Wish:
    """A request to make, this many times as often as one of weight 1."""

    weight: int
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


#: {n} is drawn from a few numbers, so that some entries are there and some are not.
WISHES: Final[Sequence[Wish]] = (
    Wish(20, "GET", "/v1/kv/item/{n}"),
    Wish(10, "PUT", "/v1/kv/item/{n}", b'{"n":1}', JSON),
    Wish(2, "PUT", "/v1/kv/short/{n}?ttl=1", b"{}", JSON),
    Wish(3, "PUT", "/v1/kv/item/{n}", b"{}", {"If-Match": '"not-it"'}),
    Wish(3, "PUT", "/v1/kv/item/{n}", b"{}", {"If-None-Match": "*"}),
    Wish(3, "PATCH", "/v1/kv/item/{n}", b'{"m":2}', PATCH),
    Wish(3, "DELETE", "/v1/kv/item/{n}"),
    Wish(1, "POST", "/v1/kv/list/", b"{}", JSON),
    Wish(1, "GET", "/v1/kv?prefix=item/&limit=5"),
    Wish(4, "GET", "/v1/counters/c{n}"),
    Wish(8, "POST", "/v1/counters/c{n}/increments", b"{}"),
    Wish(2, "POST", "/v1/counters/c{n}/increments", b'{"by":5,"max":3}'),
    Wish(2, "POST", "/v1/counters/c{n}/increments", b"{}", {"Idempotency-Key": '"once-{n}"'}),
    Wish(1, "PUT", "/v1/counters/c{n}", b'{"value":0}'),
    Wish(1, "DELETE", "/v1/counters/c{n}"),
    Wish(1, "GET", "/v1/counters?limit=5"),
    Wish(
        4,
        "POST",
        "/v1/batch",
        b'{"operations":[{"op":"get","key":"item/1"},{"op":"add","counter":"c1"},'
        b'{"op":"put","key":"item/1","value":{"n":1}},{"op":"delete","key":"nothing"}]}',
    ),
    Wish(2, "GET", "/"),
    Wish(2, "PUT", "/plain/{n}", b'{"n":1}', JSON),
    Wish(2, "GET", "/plain/{n}"),
    Wish(1, "GET", "/v1/limits"),
    Wish(2, "GET", "/v1/no/such/route"),
    Wish(1, "PUT", "/v1/limits", b"{}"),
    Wish(1, "PURGE", "/v1/kv/item/{n}"),
    Wish(1, "POST", "/v1/batch", b"not JSON"),
)
MALFORMED: Final = b"GET /v1/kv/k HTTP/1.1\r\nHost: t\r\nBad Name: x\r\n\r\n"
UNFINISHED: Final = b"GET /v1/kv/k HTTP/1.1\r\nHost: "


class Traffic:
    """What was sent and answered; ``sampled`` and ``unsampled`` are the trace ids given along."""

    def __init__(
        self, destinations: Sequence[Destination], weights: Mapping[str, float], view: MeshView
    ) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.sampled: set[str] = set()
        self.unsampled: set[str] = set()
        self.failure: BaseException | None = None
        self._destinations = destinations
        self._weights = [weights[each.track] for each in destinations]
        self._view = view
        self._random = random.Random(1)
        self._gone = free_port()
        self._stop = threading.Event()
        view.desire(weights)

    @contextlib.contextmanager
    def flowing(self) -> Iterator[Traffic]:
        """Send from a thread of its own until the block ends; raise what went wrong there."""
        thread = threading.Thread(target=self._run, name="traffic")
        thread.start()
        try:
            yield self
        finally:
            self.stop(thread)

    def stop(self, thread: threading.Thread) -> None:
        self._stop.set()
        thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            asyncio.run(self._send_all())
        except BaseException as failure:  # noqa: BLE001 - raised again where it is seen
            self.failure = failure

    async def _send_all(self) -> None:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(WORKERS):
                group.create_task(self._work(client))
            group.create_task(self._burst(client))
            group.create_task(self._misbehave())

    async def _work(self, client: aiohttp.ClientSession) -> None:
        while not self._stop.is_set():
            await self._send(client, self._destination())
            await asyncio.sleep(PAUSE_SECONDS)

    async def _burst(self, client: aiohttp.ClientSession) -> None:
        """Now and then ask for more at once than is served, and ask a pod that is gone."""
        due, enough = 0.0, 0
        while not self._stop.is_set():
            if time.monotonic() > due and self.answers.total() >= enough:
                await asyncio.gather(
                    *(self._send(client, self._destination()) for _ in range(BURST))
                )
                await self._miss(client)
                due = time.monotonic() + BURST_EVERY_SECONDS
                enough = self.answers.total() + BURST_EVERY_REQUESTS
            await asyncio.sleep(PAUSE_SECONDS)

    async def _misbehave(self) -> None:
        """Send what a proxy would never pass on; it isn't in the mesh's count."""
        while not self._stop.is_set():
            for each in self._destinations:
                for bytes_sent in (MALFORMED, UNFINISHED):
                    async with raw_connection(each.port) as wire:
                        await wire.send(bytes_sent)
                        await wire.closed()
            await asyncio.sleep(PAUSE_SECONDS)

    def _destination(self) -> Destination:
        return self._random.choices(self._destinations, self._weights)[0]

    async def _send(self, client: aiohttp.ClientSession, to: Destination) -> None:
        wish = self._random.choices(WISHES, [wish.weight for wish in WISHES])[0]
        n = str(self._random.randrange(40))
        url = URL(f"http://127.0.0.1:{to.port}{wish.path.replace('{n}', n)}", encoded=True)
        headers = {name: value.replace("{n}", n) for name, value in wish.headers.items()}
        headers |= self._trace_headers()
        started = time.perf_counter()
        try:
            async with client.request(
                wish.method, url, data=wish.body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self._view.unreached("UC", time.perf_counter() - started)
        else:
            seconds = time.perf_counter() - started
            self.answers[to.track, answer.status] += 1
            self._view.answered(to.track, to.version, answer.status, seconds)

    async def _miss(self, client: aiohttp.ClientSession) -> None:
        started = time.perf_counter()
        with contextlib.suppress(aiohttp.ClientConnectorError):
            async with client.get(f"http://127.0.0.1:{self._gone}/"):
                raise AssertionError("somebody listens where nobody should")
        self._view.unreached("UF", time.perf_counter() - started)

    def _trace_headers(self) -> dict[str, Any]:
        """Return a proxy's decision for most requests, none for the rest."""
        drawn = self._random.random()
        if drawn > 0.9:
            return {}
        trace_id, span_id = f"{self._random.getrandbits(128):032x}", self._random.getrandbits(64)
        flag = int(drawn < 0.1)
        (self.sampled if flag else self.unsampled).add(trace_id)
        return {"traceparent": f"00-{trace_id}-{span_id:016x}-0{flag}"}
