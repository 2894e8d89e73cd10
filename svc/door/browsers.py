"""Requests that browsers send for pages of other sites: refused, unless the origin is listed.

A page of any site can make a browser send a POST of text/plain here, without asking first. The
browser says in Sec-Fetch-Site or Origin for whom it sends it, and no page can change these headers.
Pages of the listed origins get the headers of CORS (https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from ..api.problems import render_domain_error
from ..domain.errors import CrossSite
from ..telemetry.instruments import Counter

SEC_FETCH_SITE: Final = istr("Sec-Fetch-Site")
#: RFC 9110 §9.2.1. Answers to them are not given to foreign pages by the browser.
SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS, hdrs.METH_TRACE})
#: How long a browser may remember the answer to its question whether it may send, in seconds.
MAX_AGE: Final = "600"
METHODS: Final = "GET, HEAD, PUT, PATCH, POST, DELETE"
#: Request headers that mean something here and that pages may not set by themselves.
REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, If-None-Match,"
    " If-Unmodified-Since, Last-Event-ID, Prefer, Range, X-Request-Id, traceparent"
)
#: Headers of answers that pages may read beside those that the standard always lets through.
RESPONSE_HEADERS: Final = (
    "Accept-Patch, Allow, Content-Range, ETag, Idempotency-Replayed, KV-Pod, KV-TTL, KV-Track,"
    " KV-Version, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After,"
    " WWW-Authenticate, X-Request-Id"
)


def refuse_foreign_pages(origins: AbstractSet[str], rejected: Counter) -> Middleware:
    """Return the middleware for the origins of KV_CORS_ORIGINS.

    Neither it nor a wrapped coroutine costs the requests anything that no browser sent.
    """

    @web.middleware
    def refuse(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        headers = request.headers
        if origins:
            return _answer_listed(request, handler, origins, rejected)
        if (
            request.method in SAFE
            or (SEC_FETCH_SITE not in headers and hdrs.ORIGIN not in headers)
            or not is_foreign(request)
        ):
            return handler(request)
        return _refuse(rejected)

    return refuse


def is_foreign(request: web.Request) -> bool:
    """Return True if a browser sent the request for a page that is not of this service."""
    headers = request.headers
    site = headers.get(SEC_FETCH_SITE)
    if site is not None and site not in {"same-origin", "none"}:
        return True
    origin = headers.get(hdrs.ORIGIN)
    return origin is not None and not _is_own(origin, headers.get(hdrs.HOST, ""))


def _is_own(origin: str, host: str) -> bool:
    """Return True if the origin is this service. Its scheme is that of a proxy, if there is one."""
    try:
        parts = urlsplit(origin)
        default = {"http": ":80", "https": ":443"}[parts.scheme]
    except (ValueError, KeyError):
        return False
    return parts.netloc.lower().removesuffix(default) == host.lower().removesuffix(default)


async def _refuse(rejected: Counter) -> web.StreamResponse:
    rejected["cross_site",] += 1
    return render_domain_error(CrossSite())


async def _answer_listed(
    request: web.Request, handler: Handler, origins: AbstractSet[str], rejected: Counter
) -> web.StreamResponse:
    is_listed = _is_listed(request, origins)
    if (
        is_listed
        and request.method == hdrs.METH_OPTIONS
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    ):
        # Browsers ask without credentials, so it is answered before anybody asks for them.
        response = web.Response(status=204)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = METHODS
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = REQUEST_HEADERS
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = MAX_AGE
        return response
    if not is_listed and request.method not in SAFE and is_foreign(request):
        return await _refuse(rejected)
    return await handler(request)


def _is_listed(request: web.Request, origins: AbstractSet[str]) -> bool:
    origin = request.headers.get(hdrs.ORIGIN, "")
    return bool(origin) and ("*" in origins or origin in origins)


def let_listed_pages_read(origins: AbstractSet[str]) -> Middleware:
    """Return the outermost middleware where there are origins.

    It lets their pages read every answer: that of a service without a free place, too.
    """
    is_any = "*" in origins

    @web.middleware
    async def let_read(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if _is_listed(request, origins):
            origin = "*" if is_any else request.headers[hdrs.ORIGIN]
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = RESPONSE_HEADERS
        if not is_any:
            # Caches must not give one origin's answer to another; nor one without origin.
            varies = response.headers.get(hdrs.VARY)
            response.headers[hdrs.VARY] = f"{varies}, {hdrs.ORIGIN}" if varies else hdrs.ORIGIN
        return response

    return let_read
