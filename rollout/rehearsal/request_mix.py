"""The requests that the load generator sends: random reads and writes, or one request."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from ..gateway_api.backends import Backends, RouteRefused
from ..gateway_api.rules import istio_routes
from ..manifests.http_route import HttpRoute
from ..manifests.string_match import Exact, Prefix
from ..manifests.virtual_service import VirtualService
from ..manifests.weighted_rules import Routes
from ..plan.model import CanaryRequests
from ..plan.releases import Releases

#: How many keys and counters a mix uses, at any rate and for any time.
KEYS: Final = 64
COUNTERS: Final = 8
_REQUEST_LINE: Final = re.compile(r"(?P<method>[A-Z]+) (?P<path>/\S*)")
_BODY: Final = b"x" * 100
#: In place of a method: a call of gRPC.
_GRPC: Final = "GRPC"
_GRPC_HEADERS: Final = {"Content-Type": "application/grpc", "TE": "trailers"}
#: One message without fields.
_GRPC_BODY: Final = bytes(5)
#: Percentages of all requests; the rest are increments.
_READS: Final = 60
_WRITES: Final = 20


class RequestInvalid(ValueError):
    """The text is not a request; the message shows the expected form."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send.

    ``counter`` is the counter that it increments, None for other requests. An increment carries an
    Idempotency-Key, so it may be retried.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    counter: str | None = None


class RequestMix(Protocol):
    """A source of requests."""

    def draw(self) -> Request:
        """Return the next request."""


class KeyValueMix:
    """Random reads, writes and increments of tallykv; each mix has keys and counters of its own."""

    def __init__(self) -> None:
        self.prefix = f"rehearsal-{uuid.uuid4().hex[:8]}"

    def draw(self) -> Request:
        """Return a random read, write or increment."""
        drawn = random.randrange(100)
        if drawn >= _READS + _WRITES:
            counter = f"{self.prefix}-{random.randrange(COUNTERS)}"
            return Request(
                "POST",
                f"/v1/counters/{counter}/increments",
                {"Idempotency-Key": uuid.uuid4().hex},
                counter=counter,
            )
        path = f"/v1/kv/{self.prefix}-{random.randrange(KEYS)}"
        if drawn < _READS:
            return Request("GET", path)
        return Request("PUT", path, {"Content-Type": "text/plain"}, _BODY)


class RepeatedRequest:
    """The same request every time."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @classmethod
    def parse(cls, text: str) -> RepeatedRequest:
        """Parse ``GET /path``, or ``GRPC /package.Service/Method``; raise RequestInvalid."""
        found = _REQUEST_LINE.fullmatch(text.strip())
        if found is None:
            raise RequestInvalid(f'"{text}" is no request: write it as "GET /path"')
        if found["method"] == _GRPC:
            return cls(Request("POST", found["path"], _GRPC_HEADERS, _GRPC_BODY))
        return cls(Request(found["method"], found["path"]))

    def draw(self) -> Request:
        """Return the request."""
        return self._request


def request_for(releases: Releases, routes: Routes) -> RepeatedRequest:
    """Return a GET request that meets the first route to either release, judging by its path."""
    for route in _http_routes(routes):
        if any(releases.arm_of(it.destination.host, it.destination.subset) for it in route.route):
            uri = route.match[0].uri if route.match else None
            path = uri.value if isinstance(uri, Exact | Prefix) else "/"
            return RepeatedRequest(Request("GET", path))
    return RepeatedRequest(Request("GET", "/"))


def _http_routes(routes: Routes) -> Sequence[HttpRoute]:
    if isinstance(routes, VirtualService):
        return routes.spec.http
    try:
        return istio_routes(routes, Backends(routes, None, frozenset()))
    except RouteRefused:
        return ()


class CanaryRequestMix:
    """Requests of another mix; a share of them gets the headers that select the canary."""

    def __init__(self, mix: RequestMix, canary_requests: CanaryRequests) -> None:
        self._mix = mix
        self._canary_requests = canary_requests

    def draw(self) -> Request:
        """Return the next request; whether it selects the canary is random."""
        request = self._mix.draw()
        if random.random() >= self._canary_requests.share:
            return request
        headers = {**request.headers, **dict(self._canary_requests.headers)}
        return replace(request, headers=headers)
