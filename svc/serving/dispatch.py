"""From a request to its handler, without aiohttp's URL dispatcher where the path is plain.

That dispatcher takes as long as parsing the whole request. The routes in ``api.routes.BUSY`` are
recognised by one regular expression instead; every other path takes aiohttp's way. Both ways lead
to the same handler: tests/svc/api/test_dispatch.py compares them.

Requests with Expect take a way of their own. aiohttp would let the client send its body before the
handler has had a look at the head; here read_bytes does that, once the body is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from ..api.routes import BUSY

Handle = Callable[[Any], Awaitable[web.StreamResponse]]
#: Makes a match_info of the variables in a path.
MatchInfo = Callable[[dict[str, str]], UrlMappingMatchInfo]

#: RFC 3986's pchar without percent-encoding: characters of a path that need no decoding.
_PLAIN: Final = r"A-Za-z0-9._~:@!$&'()*+,;=-"


class _Shortcut:
    """By method: the handler, wrapped in the middlewares, and the type of its match_info."""

    def __init__(self, app: web.Application, resource: web.Resource, variable: str) -> None:
        self.variable = variable
        self.routes = {
            route.method: (_match_info_of(route, app), _wrapped(app, route.handler))
            for route in resource
        }


def _match_info_of(route: web.AbstractRoute, app: web.Application) -> MatchInfo:
    """Return the type of what aiohttp's dispatcher would find for the route, frozen.

    All of it but the variable is the same for each request, so the type holds it.
    """

    class Found(UrlMappingMatchInfo):
        __init__ = dict.__init__
        _route = route
        _apps = [app]  # noqa: RUF012
        _current_app = app
        _frozen = True

    return cast(MatchInfo, Found)


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
    # Without shortcuts, a pattern that matches nothing.
    match = re.compile("|".join(patterns) or r"(?!)").fullmatch

    def dispatch(request: web.Request) -> Awaitable[web.StreamResponse]:
        message = request._message  # noqa: SLF001
        if hdrs.EXPECT in message.headers:
            return _expecting(app, request)
        found = match(message.path)
        if found is not None:
            index: int = found.lastindex  # type: ignore[assignment]
            shortcut = shortcuts[index - 1]
            if (taken := shortcut.routes.get(message.method)) is not None:
                kind, handler = taken
                request._match_info = kind({shortcut.variable: found[index]})  # noqa: SLF001
                return handler(request)
        return handle(request)

    return dispatch


async def _expecting(app: web.Application, request: web.Request) -> web.StreamResponse:
    match_info = await app.router.resolve(request)
    match_info.add_app(app)
    match_info.freeze()
    request._match_info = match_info  # noqa: SLF001
    handler: Handler = match_info.handler
    # RFC 9110 §10.1.1: HTTP/1.0 has no expectations.
    expected = request.headers[hdrs.EXPECT].lower()
    if request.version == HttpVersion11 and expected != "100-continue":
        handler = _refuse_expectation
    response = await _wrapped(app, handler)(request)
    if request.body_exists and (response.status >= 400 or not request.content.is_eof()):
        # The client may send its body or not, now that it knows the answer.
        response.force_close()
    return response


async def _refuse_expectation(_: web.Request) -> web.StreamResponse:
    raise web.HTTPExpectationFailed


def _wrapped(app: web.Application, handler: Handler) -> Handler:
    for middleware in reversed(app.middlewares):
        handler = _inside(middleware, handler)
    return handler


def _inside(middleware: Middleware, handler: Handler) -> Handler:
    """Return the handler inside of the middleware. A partial takes twice as long."""

    def handle(request: web.Request) -> Awaitable[web.StreamResponse]:
        return middleware(request, handler)

    return update_wrapper(handle, handler)
