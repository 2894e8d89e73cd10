"""HTTPRoute and GRPCRoute: which requests of a parent's listeners go to which backends.

https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from ..field_errors import Reason, field_error
from ..field_types import DurationOrZero
from ..metadata import IstioObject
from ..not_modelled import NotModelled
from ..strict_model import StrictModel
from .filters import GrpcFilter, HttpFilter
from .references import Name, ParentReference, WeightedBackend

_SESSIONS: Final = NotModelled(
    "sessionPersistence", "as from Istio, it has no effect", changes_requests=False
)
_DEFAULT_GATEWAYS: Final = NotModelled(
    "default Gateways", "which Gateways the route attaches to isn't checked", apart_from="None"
)
MatchType = Literal["Exact", "RegularExpression"]
HttpMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


class PathMatch(StrictModel):
    """A prefix matches whole segments of a path."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Field(max_length=1024)] = "/"

    @model_validator(mode="after")
    def _check_absolute(self) -> PathMatch:
        if self.type != "RegularExpression" and not self.value.startswith("/"):
            raise field_error(
                Reason.BAD_VALUE, f'"{self.value}" does not begin with /', "add it", ("value",)
            )
        return self


class ValueMatch(StrictModel):
    """The value that a header or a query parameter must have."""

    name: Name
    value: Annotated[str, Field(min_length=1)]
    type: MatchType = "Exact"


class HttpRouteMatch(StrictModel):
    """A request must meet all conditions."""

    path: PathMatch = PathMatch()
    headers: Annotated[tuple[ValueMatch, ...], Field(max_length=16)] = ()
    query_params: Annotated[tuple[ValueMatch, ...], Field(max_length=16)] = ()
    method: HttpMethod | None = None


class Timeouts(StrictModel):
    """0 is no limit. ``backend_request`` is that of a single try."""

    request: DurationOrZero | None = None
    backend_request: DurationOrZero | None = None


class RouteRetry(StrictModel):
    codes: tuple[Annotated[int, Field(ge=400, le=599)], ...] = ()
    attempts: Annotated[int, Field(ge=0)] | None = None
    backoff: DurationOrZero | None = None


class GrpcBackend(WeightedBackend):
    filters: Annotated[tuple[GrpcFilter, ...], Field(max_length=16)] = ()


class HttpBackend(WeightedBackend):
    filters: Annotated[tuple[HttpFilter, ...], Field(max_length=16)] = ()


class HttpRouteRule(StrictModel):
    """A request must meet one of the matches."""

    name: Name | None = None
    matches: Annotated[tuple[HttpRouteMatch, ...], Field(max_length=64)] = (HttpRouteMatch(),)
    filters: Annotated[tuple[HttpFilter, ...], Field(max_length=16)] = ()
    backend_refs: Annotated[tuple[HttpBackend, ...], Field(max_length=16)] = ()
    timeouts: Timeouts | None = None
    retry: RouteRetry | None = None
    session_persistence: Annotated[Any, _SESSIONS] = None


class GrpcMethodMatch(StrictModel):
    type: MatchType = "Exact"
    service: str | None = None
    method: str | None = None

    @model_validator(mode="after")
    def _check_one(self) -> GrpcMethodMatch:
        if not (self.service or self.method):
            raise field_error(
                Reason.MISSING_FIELD, "neither service nor method is set", "set one of them"
            )
        return self


class GrpcRouteMatch(StrictModel):
    method: GrpcMethodMatch | None = None
    headers: Annotated[tuple[ValueMatch, ...], Field(max_length=16)] = ()


class GrpcRouteRule(StrictModel):
    """A request must meet one of the matches; without matches, every request does."""

    name: Name | None = None
    matches: Annotated[tuple[GrpcRouteMatch, ...], Field(max_length=64)] = ()
    filters: Annotated[tuple[GrpcFilter, ...], Field(max_length=16)] = ()
    backend_refs: Annotated[tuple[GrpcBackend, ...], Field(max_length=16)] = ()
    session_persistence: Annotated[Any, _SESSIONS] = None


class RouteSpec(StrictModel):
    """Without hostnames, a route is for all hosts of its parents."""

    parent_refs: Annotated[tuple[ParentReference, ...], Field(max_length=32)] = ()
    hostnames: Annotated[tuple[Name, ...], Field(max_length=16)] = ()
    use_default_gateways: Annotated[Literal["All", "None"] | None, _DEFAULT_GATEWAYS] = None


class HttpRouteSpec(RouteSpec):
    rules: Annotated[tuple[HttpRouteRule, ...], Field(min_length=1, max_length=16)] = (
        HttpRouteRule(),
    )


class GrpcRouteSpec(RouteSpec):
    rules: Annotated[tuple[GrpcRouteRule, ...], Field(max_length=16)] = ()


class HTTPRoute(IstioObject):
    spec: HttpRouteSpec


class GRPCRoute(IstioObject):
    spec: GrpcRouteSpec


ApiRoute = HTTPRoute | GRPCRoute
