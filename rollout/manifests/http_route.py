"""A route of a VirtualService: its matches, its action, and its policies (Istio's HTTPRoute).

https://istio.io/latest/docs/reference/config/networking/virtual-service/
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .faults import Fault
from .field_errors import Reason, field_error
from .field_types import (
    ConcreteHost,
    DnsLabel,
    Duration,
    DurationOrZero,
    Percent,
    Port,
    PortSelector,
)
from .http_match import HttpMatch
from .retries import Retries
from .strict_model import StrictModel, unsupported
from .string_match import Re2Pattern, StringMatchField


class Destination(StrictModel):
    """A Service, or one subset of its pods."""

    host: ConcreteHost
    subset: DnsLabel | None = None
    port: PortSelector | None = None


class HeaderOperations(StrictModel):
    set: dict[str, str] = Field(default_factory=dict)
    add: dict[str, str] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Headers(StrictModel):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


def _check_weight(value: int) -> int:
    if value < 0:
        raise field_error(Reason.NEGATIVE_WEIGHT, f"the weight is {value}", "set it to 0 or more")
    return value


class WeightedDestination(StrictModel):
    """A destination and its weight; a route's only destination gets all requests."""

    destination: Destination
    weight: Annotated[int, AfterValidator(_check_weight), Field(le=2**31 - 1)] = 0
    headers: Headers | None = None


def _check_weights(value: tuple[WeightedDestination, ...]) -> tuple[WeightedDestination, ...]:
    if len(value) > 1 and not sum(each.weight for each in value):
        raise field_error(
            Reason.ZERO_WEIGHTS,
            "all weights of the route are 0; Istio's webhook rejects that",
            "set weights that sum to 100",
        )
    return value


class Mirror(StrictModel):
    """Where Envoy sends copies of requests; without a percentage it copies every request."""

    destination: Destination
    percentage: Percent | None = None


class RegexRewrite(StrictModel):
    match: Re2Pattern
    rewrite: str


class Rewrite(StrictModel):
    """``uri`` replaces the matched prefix, or the whole path if no prefix was matched."""

    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None

    @model_validator(mode="after")
    def _check_one_path_rewrite(self) -> Rewrite:
        if self.uri and self.uri_regex_rewrite:
            raise field_error(
                Reason.BAD_VALUE,
                "uri and uriRegexRewrite both rewrite the path",
                "keep one of the two",
            )
        if not (self.uri or self.uri_regex_rewrite or self.authority):
            raise field_error(
                Reason.BAD_VALUE,
                "the rewrite changes nothing",
                "set uri, uriRegexRewrite or authority",
            )
        return self


class Redirect(StrictModel):
    """The response redirects the caller; a part of the URL that is None stays as requested."""

    uri: str | None = None
    authority: str | None = None
    port: Port | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: Literal["http", "https"] | None = None
    redirect_code: Literal[301, 302, 303, 307, 308] = 301

    @model_validator(mode="after")
    def _check_target(self) -> Redirect:
        if not (self.uri or self.authority or self.port or self.derive_port or self.scheme):
            raise field_error(
                Reason.BAD_VALUE,
                "the redirect leads to the requested URL itself",
                "set uri, authority or scheme",
            )
        if self.port and self.derive_port:
            raise field_error(
                Reason.BAD_VALUE, "port and derivePort both set the port", "keep one of the two"
            )
        return self


class Body(StrictModel):
    string: str | None = None
    bytes: str | None = None


class DirectResponse(StrictModel):
    """Envoy answers the request itself."""

    status: Annotated[int, Field(ge=200, le=599)]
    body: Body | None = None


Method = Literal[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"
]


class CorsPolicy(StrictModel):
    """How Envoy answers cross-origin requests of browsers."""

    allow_origins: tuple[StringMatchField, ...] = ()
    allow_methods: tuple[Method, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"
    allow_origin: Annotated[
        Any,
        unsupported("the deprecated field allowOrigin", "write allowOrigins: [{exact: …}]"),
    ] = None


_ACTIONS: Final = ("route", "redirect", "direct_response")
_WITH_ROUTE_ONLY: Final = ("rewrite", "fault")


class HttpRoute(StrictModel):
    """A request must meet one of the matches; without matches, every request does."""

    name: str | None = None
    match: tuple[HttpMatch, ...] = ()
    route: Annotated[tuple[WeightedDestination, ...], AfterValidator(_check_weights)] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: Rewrite | None = None
    timeout: DurationOrZero | None = None
    retries: Retries | None = None
    fault: Fault | None = None
    mirror: Destination | None = None
    mirror_percentage: Percent | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None
    delegate: Annotated[
        Any, unsupported("delegation to another VirtualService", "write the routes here")
    ] = None
    mirror_percent: Annotated[
        Any,
        unsupported("the deprecated field mirrorPercent", "write mirrorPercentage: {value: …}"),
    ] = None

    @model_validator(mode="after")
    def _check_one_action(self) -> HttpRoute:
        actions = [name for name in _ACTIONS if getattr(self, name)]
        if not actions:
            raise field_error(
                Reason.ROUTE_ACTIONS,
                "the route has no action",
                "set one of route, redirect and directResponse",
            )
        if len(actions) > 1:
            raise field_error(
                Reason.ROUTE_ACTIONS,
                "the route has more than one action",
                "keep one of route, redirect and directResponse",
            )
        if not self.route and (extra := [it for it in _WITH_ROUTE_ONLY if getattr(self, it)]):
            raise field_error(
                Reason.ROUTE_ACTIONS,
                f"the route forwards no request, so it can't have {' or '.join(extra)}",
                f"remove {' and '.join(extra)}, or forward the requests with route",
            )
        if self.mirror and self.mirrors:
            raise field_error(
                Reason.ROUTE_ACTIONS,
                "the route has both mirror and mirrors",
                "list all mirrors under mirrors",
            )
        return self

    @property
    def mirror_destinations(self) -> tuple[tuple[Destination, float], ...]:
        """Return each mirror of ``mirror`` or ``mirrors`` with the percentage of requests."""
        if self.mirror:
            percent = 100.0 if self.mirror_percentage is None else self.mirror_percentage.value
            return ((self.mirror, percent),)
        return tuple(
            (each.destination, 100.0 if each.percentage is None else each.percentage.value)
            for each in self.mirrors
        )

    @property
    def active_destinations(self) -> tuple[WeightedDestination, ...]:
        """Return the destinations that get requests: the only one, or those with weight > 0."""
        if len(self.route) == 1:
            return self.route
        return tuple(each for each in self.route if each.weight)
