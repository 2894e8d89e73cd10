"""Who a request is from: a token in Authorization (RFC 6750), or nobody.

Only the token's id goes on from here: into the trace, the access line and the store's guard.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from ..domain.access import Grant
from ..domain.errors import Forbidden, Unauthenticated
from ..telemetry.instruments import Counter
from ..telemetry.trace import TRACE
from .token_file import TokenFile
from .tokens import Token, find_token

NOBODY: Final = Grant("", frozenset())
#: The grant of the current request's token. Outside of a request: nobody may do anything.
CALLER: Final[ContextVar[Grant]] = ContextVar("caller", default=NOBODY)

TOKENS: Final = web.AppKey("tokens", TokenFile)

#: One answer for all: what is wrong with a token would help somebody who guesses.
REFUSED: Final = "the token is unknown, revoked or expired"
#: Paths of the admin port that need no token: probes, Prometheus, and what every answer names.
OPEN: Final = frozenset({"/livez", "/readyz", "/metrics", "/version"})
#: Routes of the traffic port that need no token: the contract, and pages. A browser that opens a
#: page sends none.
PUBLIC: Final = frozenset(
    {"/v1/openapi.json", "/docs", "/docs/", "/docs/{asset}", "/ui", "/ui/{asset}"}
)


def authenticate(
    file: TokenFile, rejected: Counter, limit: Middleware, *, limits_all: bool
) -> Middleware:
    """Return the middleware that finds the caller, or raises Unauthenticated.

    The next middleware is ``limit``, for callers that have rates. Unless all have, it is not called
    for the others: what they save is a good part of what tokens cost.
    """
    now = time.time

    @web.middleware
    def admit(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        # Without a call: this is on the way of every request.
        token = file.seen.get(request.headers.get(hdrs.AUTHORIZATION, ""))
        if token is None or token.expires <= now():
            try:
                grant = grant_of(request, file)
            except Unauthenticated:
                if is_public(request):
                    CALLER.set(NOBODY)
                    return limit(request, handler)
                rejected["unauthenticated",] += 1
                raise
        else:
            grant = token.grant
        TRACE.get().caller = grant.id
        CALLER.set(grant)
        if limits_all or grant.rates:
            return limit(request, handler)
        return handler(request)

    return admit


def is_public(request: web.Request) -> bool:
    """Return True if the route needs no token. By the route: a path may be written in many ways."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in PUBLIC


def require_admin(file: TokenFile) -> Middleware:
    """Return the middleware of the admin port: all but the OPEN paths need the scope ``admin``."""

    @web.middleware
    def admit(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        if request.path not in OPEN and "admin" not in grant_of(request, file).scopes:
            raise Forbidden
        return handler(request)

    return admit


def grant_of(request: web.Request, file: TokenFile) -> Grant:
    """Return the grant of the request's token. Raises Unauthenticated."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        raise Unauthenticated("a token is needed: Authorization: Bearer …", error="")
    token = file.seen.get(header) or _find(header, file)
    if token.expires <= time.time():
        raise Unauthenticated(REFUSED)
    return token.grant


def _find(header: str, file: TokenFile) -> Token:
    kind, _, text = header.partition(" ")
    token = find_token(file.tokens, text) if kind.lower() == "bearer" else None
    if token is None:
        raise Unauthenticated(REFUSED)
    if kind == "Bearer":  # not in each of its spellings: one header for each token
        file.seen[header] = token
    return token
