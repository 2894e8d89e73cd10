"""A proxy before a right service that changes some answers, or none."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDict

from tests.support.services import Service

#: Headers that the proxy sets itself.
UNFORWARDED = ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server")
#: One of so many increments is handled wrongly.
EVERY = 5


@dataclass(frozen=True)
class Answer:
    """An answer of the service."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def as_response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


#: The faults, by the end of the key or counter that each affects, with the message of the check
#: that finds it. Each message belongs to one fault.
FAULTS = {
    "/e0": "wrong ETag",
    "/e1": "stale value",
    "/e2": "missing entry",
    "/e3": "wrong value",
    "/e4": "wrong status 202",
    "-hot": "lost increment",
    "-0 to -199": "doubled increment",
}


@dataclass
class Proxy:
    """Forwards the answers of the service, with FAULTS if ``faulty``."""

    service: Service
    faulty: bool
    increments: Counter[str] = field(default_factory=Counter)
    first: dict[str, Answer] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if not self.faulty:
            return (await self.forward(request)).as_response()
        if request.path.endswith("/increments"):
            return (await self.increment(request)).as_response()
        answer = await self.forward(request)
        name = request.path.rpartition("/")[2]
        found = request.method == "GET" and answer.status == 200
        if name == "e0" and found:
            answer.headers["ETag"] = '"0"'
        elif name == "e1" and found:
            # Always the first value that was read.
            answer = self.first.setdefault(name, answer)
        elif name == "e2" and found:
            answer = Answer(404, answer.headers, b"")
        elif name == "e3" and found:
            answer = Answer(200, answer.headers, answer.body[:-1])
        elif name == "e4" and request.method == "PUT":
            answer = Answer(202, answer.headers, answer.body)
        return answer.as_response()

    async def increment(self, request: web.Request) -> Answer:
        """Lose some increments of one counter, and apply some of the others twice."""
        name = request.path.split("/")[3]
        kind = "hot" if name.endswith("-hot") else "spread"
        self.increments[kind] += 1
        if self.increments[kind] % EVERY == 0:
            if kind == "hot":
                return await self.lost_increment(request)
            await self.forward(request, idempotency_key=f'"another-{self.increments[kind]}"')
        return await self.forward(request)

    async def forward(self, request: web.Request, idempotency_key: str = "") -> Answer:
        headers = request.headers.copy()
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        body = await request.read()
        forwarded = self.service.request(
            request.method, request.raw_path, headers=headers, data=body or None
        )
        async with forwarded as response:
            kept = CIMultiDict(
                (name, value) for name, value in response.headers.items() if name not in UNFORWARDED
            )
            return Answer(response.status, kept, await response.read())

    async def lost_increment(self, request: web.Request) -> Answer:
        """Acknowledge an increment without applying it, with the sum that it would have."""
        name, by = request.path.split("/")[3], (await request.json())["by"]
        async with self.service.get(f"/v1/counters/{name}") as response:
            value = (await response.json()).get("value", 0) + by
        body = {"name": name, "value": value, "value_text": str(value), "applied_by": by}
        headers = CIMultiDict({"Content-Type": "application/json"})
        return Answer(200, headers, json.dumps(body).encode())


@contextlib.asynccontextmanager
async def running_proxy(service: Service, *, faulty: bool) -> AsyncIterator[str]:
    """Serve on loopback until the block ends; yield the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Proxy(service, faulty).answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
