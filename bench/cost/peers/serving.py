"""How the peers on aiohttp are served: on uvloop, without an access log."""

import os

import uvloop
from aiohttp import web


def serve(app: web.Application) -> None:
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
