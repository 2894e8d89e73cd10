"""``/v1/limits``: what a request may ask for."""

from __future__ import annotations

from aiohttp import web

from .bodies import render_json
from .context import LIMITS


async def read(request: web.Request) -> web.Response:
    return render_json(request.app[LIMITS])
