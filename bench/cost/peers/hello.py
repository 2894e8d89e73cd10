"""The least that an aiohttp server can do: the unit of all costs."""

from aiohttp import web

from .serving import serve


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="Hello, world\n")


def build_app() -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/", hello)])
    return app


if __name__ == "__main__":
    serve(build_app())
