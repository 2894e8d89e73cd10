"""The rate of each request: its class, its client, and the headers that tell the client.

RateLimit and RateLimit-Policy are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from ..api.middlewares import render_error
from ..domain.limits import Rate
from ..telemetry.clients import Networks, client_address
from .callers import CALLER, NOBODY
from .limiter import Bucket, Limiter

RATE_LIMIT: Final = istr("RateLimit")
RATE_LIMIT_POLICY: Final = istr("RateLimit-Policy")
BATCH: Final = "/v1/batch"
LISTS: Final = frozenset({"/v1/kv", "/v1/kv/", "/v1/counters", "/v1/counters/"})
_BY_METHOD: Final = {
    **dict.fromkeys(("GET", "HEAD"), "read"),
    **dict.fromkeys(("PUT", "PATCH", "POST"), "write"),
    "DELETE": "delete",
}
_LIST: Final = {**_BY_METHOD, **dict.fromkeys(("GET", "HEAD"), "list")}
_VISIT: Final = {**_BY_METHOD, "GET": "write"}
#: Addresses that are remembered, and the longest header beside one: to parse an address takes as
#: long as all the rest of this.
MOST_ADDRESSES: Final = 1_024
MOST_FORWARDED: Final = 64


class Rates:
    """The rates in force: those of the settings, and of the caller's token where it has some."""

    def __init__(
        self, limiter: Limiter, defaults: Mapping[str, Rate | None], proxies: Networks
    ) -> None:
        self._limiter = limiter
        self._defaults = defaults
        self._proxies = proxies
        self._classes: dict[web.AbstractRoute, Mapping[str, str]] = {}
        self._addresses: dict[tuple[str, str], str] = {}

    @property
    def limits_all(self) -> bool:
        """True if clients without rates of their own have some, too."""
        return bool(self._defaults)

    def middleware(self) -> Middleware:
        """Return the middleware that refuses what is too much, and tells what is left."""
        classes = self._classes
        defaults = self._defaults

        @web.middleware
        def limit(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
            caller = CALLER.get()
            own = caller.rates
            if not own and not defaults:
                return handler(request)
            by_method = classes.get(request.match_info.route)
            if by_method is None:
                by_method = self._classes_of(request.match_info.route)
            name = by_method.get(request.method)
            rate = None if name is None else own.get(name, defaults.get(name))
            if name is None or rate is None:
                return handler(request)
            client = caller.id if caller is not NOBODY else self._address(request)
            return self._limited(request, handler, self._limiter.bucket(name, client, rate))

        return limit

    async def _limited(
        self, request: web.Request, handler: Handler, bucket: Bucket
    ) -> web.StreamResponse:
        limiter = self._limiter
        response: web.StreamResponse
        try:
            if not limiter.spend(bucket, 1):
                await limiter.ask(bucket, 1)
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - problems tell what is left, too
            response = render_error(request, error)
        headers = response.headers
        headers[RATE_LIMIT_POLICY] = bucket.policy
        headers[RATE_LIMIT] = bucket.state
        return response

    def _classes_of(self, route: web.AbstractRoute) -> Mapping[str, str]:
        """Return the classes of a route's requests. Remember them, unless the route is no route."""
        template = None if route.resource is None else route.resource.canonical
        classes = classes_of(template or "")
        if template is not None:
            self._classes[route] = classes
        return classes

    async def charge(self, request: web.Request, counts: Mapping[str, int]) -> None:
        """Take the permits of a batch's operations by class. Raises RateLimited."""
        for name, count in counts.items():
            rate = CALLER.get().rates.get(name, self._defaults.get(name))
            if rate is not None and count:
                bucket = self._limiter.bucket(name, self._client(request), rate)
                if not self._limiter.spend(bucket, count):
                    await self._limiter.ask(bucket, count)

    def _client(self, request: web.Request) -> str:
        caller = CALLER.get()
        return caller.id if caller is not NOBODY else self._address(request)

    def _address(self, request: web.Request) -> str:
        """Return the name of a client without a token."""
        peer = request.remote or ""
        proxies = self._proxies
        forwarded = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, ())) if proxies else ""
        found = self._addresses.get((peer, forwarded))
        if found is None:
            found = f"@{client_name(peer, forwarded, proxies)}"
            if len(forwarded) <= MOST_FORWARDED:
                if len(self._addresses) >= MOST_ADDRESSES:
                    del self._addresses[next(iter(self._addresses))]
                self._addresses[peer, forwarded] = found
        return found


def classes_of(template: str) -> Mapping[str, str]:
    """Return the classes of the requests of a route, by method. Without a class, none is limited.

    By the route, because a path may be written in many ways. A batch has none: its operations do.
    """
    if template == BATCH:
        return {}
    if template in LISTS:
        return _LIST
    if template == "/":
        return _VISIT  # GET counts one
    return _BY_METHOD


def client_name(peer: str, forwarded: str, proxies: Networks) -> str:
    """Return the address of a client without a token; of an IPv6 client, the /64 that it has."""
    address = client_address(peer, forwarded, proxies)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return peer if address is None else str(address)
