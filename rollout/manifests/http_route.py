"""A route of a VirtualService: its matches, its action, and its policies (Istio's HTTPRoute).

https://istio.io/latest/docs/reference/config/networking/virtual-service/
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AliasChoices, Field, model_validator

from .cors import CorsPolicy
from .destinations import Destination, WeightedDestination, check_weights
from .faults import Fault
from .field_errors import Reason, field_error
from .field_types import Duration, Percent, PercentInt, Port
from .header_operations import Headers
from .http_match import HttpMatch
from .names import ObjectName
from .not_modelled import NotModelled
from .retries import Retries
from .strict_model import StrictModel
from .string_match import Re2Pattern


class Mirror(StrictModel):
    """Where Envoy sends copies of requests; without a percentage it copies every request."""

    destination: Destination
    percentage: Percent | None = None


class RegexRewrite(StrictModel):
    match: Annotated[Re2Pattern, Field(min_length=1)]
    rewrite: Annotated[str, Field(min_length=1)]


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
    prefix_rewrite: Annotated[
        str | None,
        NotModelled("redirecting with another prefix", "where it leads to isn't checked"),
    ] = None
    authority: str | None = None
    port: Port | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: Literal["http", "https", ""] | None = None
    redirect_code: Annotated[int, Field(ge=300, le=399)] = 301

    @model_validator(mode="after")
    def _check_target(self) -> Redirect:
        to = (self.uri, self.authority, self.port, self.derive_port, self.scheme)
        if not any((*to, self.prefix_rewrite)):
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


_MAX_BODY_BYTES: Final = 1024 * 1024


class Body(StrictModel):
    string: Annotated[str, Field(max_length=_MAX_BODY_BYTES)] | None = None
    bytes: Annotated[str, Field(max_length=_MAX_BODY_BYTES * 4 // 3 + 4)] | None = None

    @model_validator(mode="after")
    def _check_one_body(self) -> Body:
        if self.string is not None and self.bytes is not None:
            raise field_error(
                Reason.BAD_VALUE, "string and bytes both set the body", "keep one of the two"
            )
        return self


class DirectResponse(StrictModel):
    """Envoy answers the request itself."""

    status: Annotated[int, Field(ge=200, le=600)]
    body: Body | None = None


class Delegate(StrictModel):
    """Another VirtualService, without hosts, whose routes stand in place of this one."""

    name: ObjectName | None = None
    namespace: str | None = None


_ACTIONS: Final = ("route", "redirect", "direct_response")
_WITH_ROUTE_ONLY: Final = ("rewrite", "fault")


class HttpRoute(StrictModel):
    """A request must meet one of the matches; without matches, every request does."""

    name: str | None = None
    match: tuple[HttpMatch, ...] = ()
    route: Annotated[tuple[WeightedDestination, ...], check_weights] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    delegate: Annotated[
        Delegate | None,
        NotModelled(
            "delegation to another VirtualService",
            "the delegated routes aren't checked",
            changes_requests=False,
        ),
    ] = None
    rewrite: Rewrite | None = None
    timeout: Duration | None = None
    retries: Retries | None = None
    fault: Fault | None = None
    mirror: Destination | None = None
    mirror_percentage: Percent | None = None
    #: The deprecated form of ``mirror_percentage``.
    mirror_percent: PercentInt | None = Field(
        default=None, validation_alias=AliasChoices("mirrorPercent", "mirror_percent")
    )
    mirrors: tuple[Mirror, ...] = ()
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None

    @model_validator(mode="after")
    def _check_one_action(self) -> HttpRoute:
        actions = [name for name in _ACTIONS if getattr(self, name)]
        if self.delegate and actions:
            raise field_error(
                Reason.ROUTE_ACTIONS,
                "the route delegates, so it can't have an action of its own",
                "keep either delegate or the action",
            )
        if not actions and not self.delegate:
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
        extra = [it for it in _WITH_ROUTE_ONLY if getattr(self, it)]
        if extra and (self.redirect or self.direct_response):
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

    @model_validator(mode="after")
    def _check_one_authority(self) -> HttpRoute:
        rewritten = [self.rewrite.authority] if self.rewrite and self.rewrite.authority else []
        headers = [*self.headers.authorities()] if self.headers else []
        if len(rewritten) + len(headers) > 1:
            raise field_error(
                Reason.BAD_VALUE,
                "the host of the request is set more than once",
                "keep one of rewrite.authority and the headers host and :authority",
                ("headers",),
            )
        return self

    @property
    def mirror_destinations(self) -> tuple[tuple[Destination, float], ...]:
        """Return each mirror of ``mirror`` or ``mirrors`` with the percentage of requests."""
        if self.mirror:
            percent = 100.0 if self.mirror_percent is None else float(self.mirror_percent)
            if self.mirror_percentage is not None:
                percent = self.mirror_percentage.value
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
