"""aiohttp and redis-py, nothing else."""

import os
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from redis.asyncio import Redis

from .serving import serve

REDIS: Final = web.AppKey("redis", Redis)


async def read(request: web.Request) -> web.Response:
    value = await request.app[REDIS].get(request.match_info["key"])
    if value is None:
        raise web.HTTPNotFound
    return web.Response(body=value, content_type="application/octet-stream")


async def write(request: web.Request) -> web.Response:
    await request.app[REDIS].set(request.match_info["key"], await request.read())
    return web.Response(status=204)


async def increment(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    return web.json_response({"name": name, "value": await request.app[REDIS].incr(name)})


async def connect(app: web.Application) -> AsyncIterator[None]:
    app[REDIS] = Redis.from_url(os.environ["REDIS_URL"])
    yield
    await app[REDIS].aclose()


def build_app() -> web.Application:
    app = web.Application()
    app.add_routes(
        [
            web.get("/kv/{key}", read),
            web.put("/kv/{key}", write),
            web.post("/counters/{name}", increment),
        ]
    )
    app.cleanup_ctx.append(connect)
    return app


if __name__ == "__main__":
    serve(build_app())
