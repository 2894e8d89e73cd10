"""The least that an aiohttp server can do: the unit of all costs."""

import os

import uvloop
from aiohttp import web


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="Hello, world\n")


def build_app() -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/", hello)])
    return app


if __name__ == "__main__":
    web.run_app(
        build_app(),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
