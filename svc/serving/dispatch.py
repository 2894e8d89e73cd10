"""From a request to its handler, without aiohttp's URL dispatcher where the path is plain.

That dispatcher takes as long as parsing the whole request. The routes in ``api.routes.BUSY`` are
recognised by one regular expression instead; every other path takes aiohttp's way. Both ways lead
to the same handler: tests/svc/api/test_dispatch.py compares them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial, update_wrapper
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from ..api.routes import BUSY

Handle = Callable[[Any], Awaitable[web.StreamResponse]]

#: RFC 3986's pchar without percent-encoding: characters of a path that need no decoding.
_PLAIN: Final = r"A-Za-z0-9._~:@!$&'()*+,;=-"


class _Shortcut:
    """The handlers of one resource by method, each wrapped in the middlewares."""

    def __init__(self, app: web.Application, resource: web.Resource, variable: str) -> None:
        self.app = app
        self.variable = variable
        self.routes = {route.method: (route, _wrapped(app, route.handler)) for route in resource}


def dispatcher(app: web.Application, handle: Handle) -> Handle:
    """Return a faster equivalent of ``handle``, the application's own request handler."""
    by_canonical = {resource.canonical: resource for resource in app.router.resources()}
    shortcuts: list[_Shortcut] = []
    patterns: list[str] = []
    for busy in BUSY:
        resource = by_canonical.get(f"{busy.before}{{{busy.variable}}}{busy.after}")
        if isinstance(resource, web.Resource):
            shortcuts.append(_Shortcut(app, resource, busy.variable))
            characters = "/" + _PLAIN if busy.may_have_slashes else _PLAIN
            patterns.append(f"{busy.before}([{characters}]+){busy.after}")
    if not shortcuts:
        return handle
    match = re.compile("|".join(patterns)).fullmatch

    async def dispatch(request: web.Request) -> web.StreamResponse:
        found = match(request.raw_path)
        if found is not None and hdrs.EXPECT not in request.headers:
            index: int = found.lastindex  # type: ignore[assignment]
            shortcut = shortcuts[index - 1]
            if (taken := shortcut.routes.get(request.method)) is not None:
                route, handler = taken
                match_info = UrlMappingMatchInfo({shortcut.variable: found[index]}, route)
                match_info.add_app(shortcut.app)
                match_info.freeze()
                request._match_info = match_info  # noqa: SLF001
                return await handler(request)
        return await handle(request)

    return dispatch


def _wrapped(app: web.Application, handler: Handler) -> Handler:
    for middleware in reversed(app.middlewares):
        handler = update_wrapper(partial(middleware, handler=handler), handler)
    return handler
