"""A proxy before a right service that tells lies, or none."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDict

from tests.support.services import Service

#: Of the connection, not of the message.
HOP = ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server")
#: Every so many increments are lied about.
EVERY = 5


@dataclass(frozen=True)
class Said:
    """An answer of the service's."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def as_response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


#: Who is lied about, in whose name nobody else is: an entry's key or a counter's name ends so.
#: A lie is known by how it is noticed, and each is noticed in its own way.
LIES = {
    "/e0": "wrong ETag",
    "/e1": "stale value",
    "/e2": "missing entry",
    "/e3": "wrong value",
    "/e4": "wrong status 202",
    "-hot": "lost increment",
    "-0 to -199": "doubled increment",
}


@dataclass
class Liar:
    """Answers as the service does, or lies about what LIES names."""

    service: Service
    honest: bool
    increments: Counter[str] = field(default_factory=Counter)
    first: dict[str, Said] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.honest:
            return (await self.ask(request)).as_response()
        if request.path.endswith("/increments"):
            return (await self.increment(request)).as_response()
        said = await self.ask(request)
        about = request.path.rpartition("/")[2]
        found = request.method == "GET" and said.status == 200
        if about == "e0" and found:
            said.headers["ETag"] = '"0"'
        elif about == "e1" and found:
            # The first value that was read, for ever.
            said = self.first.setdefault(about, said)
        elif about == "e2" and found:
            said = Said(404, said.headers, b"")
        elif about == "e3" and found:
            said = Said(200, said.headers, said.body[:-1])
        elif about == "e4" and request.method == "PUT":
            said = Said(202, said.headers, said.body)
        return said.as_response()

    async def increment(self, request: web.Request) -> Said:
        """Lie about some: lose those of one counter, make those of others twice."""
        name = request.path.split("/")[3]
        kind = "hot" if name.endswith("-hot") else "spread"
        self.increments[kind] += 1
        if self.increments[kind] % EVERY == 0:
            if kind == "hot":
                return await self.lost_increment(request)
            await self.ask(request, idempotency_key=f'"another-{self.increments[kind]}"')
        return await self.ask(request)

    async def ask(self, request: web.Request, idempotency_key: str = "") -> Said:
        headers = request.headers.copy()
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        body = await request.read()
        asked = self.service.request(
            request.method, request.raw_path, headers=headers, data=body or None
        )
        async with asked as response:
            said = CIMultiDict(
                (name, value) for name, value in response.headers.items() if name not in HOP
            )
            return Said(response.status, said, await response.read())

    async def lost_increment(self, request: web.Request) -> Said:
        """Acknowledge what is never made: with the sum that it would have had."""
        name, by = request.path.split("/")[3], (await request.json())["by"]
        async with self.service.get(f"/v1/counters/{name}") as response:
            value = (await response.json()).get("value", 0) + by
        said = {"name": name, "value": value, "value_text": str(value), "applied_by": by}
        headers = CIMultiDict({"Content-Type": "application/json"})
        return Said(200, headers, json.dumps(said).encode())


@contextlib.asynccontextmanager
async def lying(service: Service, *, honest: bool) -> AsyncIterator[str]:
    """Serve on loopback until the block ends; gives the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Liar(service, honest).answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
