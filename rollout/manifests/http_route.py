"""What becomes of a request: sent on, redirected, or answered."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from .cors import CorsPolicy
from .faults import Fault
from .http_match import HttpMatch
from .matches import Re2Pattern
from .part import Part, unsupported
from .refusals import Reason, refuse
from .retries import Retries
from .values import ConcreteHost, DnsLabel, DurationOrZero, Percent, Port, PortSelector


class Destination(Part):
    """A Service, or the pods of it that a subset names."""

    host: ConcreteHost
    subset: DnsLabel | None = None
    port: PortSelector | None = None


class HeaderOperations(Part):
    set: dict[str, str] = Field(default_factory=dict)
    add: dict[str, str] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Headers(Part):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


def _weight(value: int) -> int:
    if value < 0:
        raise refuse(Reason.NEGATIVE_WEIGHT, f"the weight is {value}", "make it 0 or more")
    return value


class WeightedDestination(Part):
    """One share of a route; a single one gets everything, whatever its weight."""

    destination: Destination
    weight: Annotated[int, AfterValidator(_weight), Field(le=2**31 - 1)] = 0
    headers: Headers | None = None


def _weights(value: tuple[WeightedDestination, ...]) -> tuple[WeightedDestination, ...]:
    if len(value) > 1 and not sum(each.weight for each in value):
        raise refuse(
            Reason.ZERO_WEIGHTS,
            "no destination has a weight: Istio's webhook refuses that",
            "let the weights sum to 100",
        )
    return value


class Mirror(Part):
    """Where copies go; None as percentage stands for every request."""

    destination: Destination
    percentage: Percent | None = None


class RegexRewrite(Part):
    match: Re2Pattern
    rewrite: str


class Rewrite(Part):
    """``uri`` replaces what a prefix matched, else the whole path."""

    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Rewrite:
        if self.uri and self.uri_regex_rewrite:
            raise refuse(
                Reason.BAD_VALUE, "the path is rewritten twice", "keep uri or uriRegexRewrite"
            )
        if not (self.uri or self.uri_regex_rewrite or self.authority):
            raise refuse(
                Reason.BAD_VALUE,
                "a rewrite of nothing",
                "give uri, uriRegexRewrite or authority",
            )
        return self


class Redirect(Part):
    """Answered with another address; what is None stays as it was asked for."""

    uri: str | None = None
    authority: str | None = None
    port: Port | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: Literal["http", "https"] | None = None
    redirect_code: Literal[301, 302, 303, 307, 308] = 301

    @model_validator(mode="after")
    def _somewhere(self) -> Redirect:
        if not (self.uri or self.authority or self.port or self.derive_port or self.scheme):
            raise refuse(
                Reason.BAD_VALUE, "a redirect to the same place", "give uri, authority or scheme"
            )
        if self.port and self.derive_port:
            raise refuse(Reason.BAD_VALUE, "two ports", "keep port or derivePort")
        return self


class Body(Part):
    string: str | None = None
    bytes: str | None = None


class DirectResponse(Part):
    status: Annotated[int, Field(ge=200, le=599)]
    body: Body | None = None


_WITH_ROUTE_ONLY: Final = ("rewrite", "fault")


class HttpRoute(Part):
    """One rule: the matches are alternatives, none of them stands for every request."""

    name: str | None = None
    match: tuple[HttpMatch, ...] = ()
    route: Annotated[tuple[WeightedDestination, ...], AfterValidator(_weights)] = ()
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
        Any, unsupported("delegation to another VirtualService", "write the routes out here")
    ] = None
    mirror_percent: Annotated[
        Any, unsupported("mirrorPercent is deprecated", "write mirrorPercentage: {value: …}")
    ] = None

    @model_validator(mode="after")
    def _one_action(self) -> HttpRoute:
        said = [name for name in ("route", "redirect", "direct_response") if getattr(self, name)]
        if not said:
            raise refuse(
                Reason.ROUTE_ACTIONS,
                "nothing becomes of a request",
                "give one of route, redirect and directResponse",
            )
        if len(said) > 1:
            raise refuse(
                Reason.ROUTE_ACTIONS,
                "two things become of a request",
                "keep one of route, redirect and directResponse",
            )
        if not self.route and (extra := [it for it in _WITH_ROUTE_ONLY if getattr(self, it)]):
            raise refuse(
                Reason.ROUTE_ACTIONS,
                f"{' and '.join(extra)} where no request is sent on",
                "keep it to rules with a route",
            )
        if self.mirror and self.mirrors:
            raise refuse(
                Reason.ROUTE_ACTIONS, "mirror and mirrors at once", "write all of them in mirrors"
            )
        return self

    @property
    def mirroring(self) -> tuple[tuple[Destination, float], ...]:
        """Return where copies go and how many percent of the requests, however it is written."""
        if self.mirror:
            share = 100.0 if self.mirror_percentage is None else self.mirror_percentage.value
            return ((self.mirror, share),)
        return tuple(
            (each.destination, 100.0 if each.percentage is None else each.percentage.value)
            for each in self.mirrors
        )

    @property
    def live(self) -> tuple[WeightedDestination, ...]:
        """Return the destinations that get requests: the only one, or those with a weight."""
        if len(self.route) == 1:
            return self.route
        return tuple(each for each in self.route if each.weight)
