"""aiohttp alone: values from and into the memory of its process. It checks and stores nothing."""

from typing import Final

from aiohttp import web

from .serving import serve

VALUES: Final = web.AppKey("values", dict[str, bytes])


async def read(request: web.Request) -> web.Response:
    value = request.app[VALUES].get(request.match_info["key"])
    if value is None:
        raise web.HTTPNotFound
    return web.Response(body=value, content_type="application/octet-stream")


async def write(request: web.Request) -> web.Response:
    request.app[VALUES][request.match_info["key"]] = await request.read()
    return web.Response(status=204)


def build_app() -> web.Application:
    app = web.Application(client_max_size=2 << 20)
    app[VALUES] = {}
    app.add_routes([web.get("/kv/{key}", read), web.put("/kv/{key}", write)])
    return app


if __name__ == "__main__":
    serve(build_app())
