"""The rules of HTTPRoutes and GRPCRoutes as routes of Istio's, one for each match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ..manifests.gateway_api.routes import (
    ApiRoute,
    GrpcMethodMatch,
    GrpcRouteMatch,
    GrpcRouteRule,
    HttpRouteMatch,
    HttpRouteRule,
    PathMatch,
    Timeouts,
    ValueMatch,
)
from ..manifests.http_match import HttpMatch
from ..manifests.http_route import DirectResponse, HttpRoute
from ..manifests.retries import DEFAULT_ATTEMPTS, DEFAULT_CONDITIONS, Retries
from ..manifests.string_match import Exact, Prefix, Regex, StringMatch
from .backends import Backends
from .filters import filter_fields, header_fields

_NO_BACKEND: Final = DirectResponse.model_construct(status=500)


def istio_routes(route: ApiRoute, backends: Backends) -> list[HttpRoute]:
    """Return the routes of all rules, in their order; raise RouteRefused."""
    rules: Sequence[HttpRouteRule | GrpcRouteRule] = route.spec.rules
    return [
        made
        for index, rule in enumerate(rules)
        for made in _routes(rule, rule.name or f"{route.namespace}.{route.name}.{index}", backends)
    ]


def _routes(
    rule: HttpRouteRule | GrpcRouteRule, name: str, backends: Backends
) -> Iterator[HttpRoute]:
    fields = filter_fields(rule.filters, backends)
    if isinstance(rule, HttpRouteRule):
        fields |= _policies(rule)
    if "redirect" not in fields and not sum(each.weight for each in rule.backend_refs):
        fields["direct_response"] = _NO_BACKEND
    else:
        fields["route"] = backends.destinations(rule.backend_refs, header_fields)
    for match in rule.matches or (None,):
        matches = () if match is None else (_match(match),)
        yield HttpRoute.model_construct(name=name, match=matches, **fields)


def _policies(rule: HttpRouteRule) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    timeouts = rule.timeouts or Timeouts()
    request, each_try = timeouts.request, timeouts.backend_request
    if request:
        fields["timeout"] = request
    if rule.retry:
        attempts = DEFAULT_ATTEMPTS if rule.retry.attempts is None else rule.retry.attempts
        conditions = (*DEFAULT_CONDITIONS, *map(str, rule.retry.codes))
        fields["retries"] = Retries.model_construct(
            attempts=attempts,
            retry_on=",".join(conditions) if attempts else None,
            backoff=rule.retry.backoff or None,
            per_try_timeout=each_try or None,
        )
    elif each_try:
        # Without retries, a request has one try.
        fields["timeout"] = each_try
    return fields


def _match(match: HttpRouteMatch | GrpcRouteMatch) -> HttpMatch:
    if isinstance(match, HttpRouteMatch):
        return HttpMatch.model_construct(
            uri=_path(match.path),
            headers=_values(match.headers),
            query_params=_values(match.query_params),
            method=Exact(match.method) if match.method else None,
        )
    return HttpMatch.model_construct(
        uri=_grpc_path(match.method) if match.method else None, headers=_values(match.headers)
    )


def _path(path: PathMatch) -> StringMatch:
    match path.type:
        case "Exact":
            return Exact(path.value)
        case "RegularExpression":
            return Regex(path.value)
    return Prefix(path.value if path.value == "/" else path.value.removesuffix("/"))


def _grpc_path(method: GrpcMethodMatch) -> StringMatch:
    """Return the match of ``/service/method``."""
    exact = method.type == "Exact"
    if not method.service:
        return Regex(f"/[^/]+/{method.method}")
    if not method.method:
        return Prefix(f"/{method.service}/") if exact else Regex(f"/{method.service}/.+")
    path = f"/{method.service}/{method.method}"
    return Exact(path) if exact else Regex(path)


def _values(matches: Iterable[ValueMatch]) -> dict[str, Exact | Regex]:
    return {
        each.name: Exact(each.value) if each.type == "Exact" else Regex(each.value)
        for each in matches
    }


def by_precedence(routes: Iterable[HttpRoute]) -> list[HttpRoute]:
    """Sort routes of one host by the specification's precedence; equal ones keep their order."""
    return sorted(routes, key=_precedence)


def _precedence(route: HttpRoute) -> tuple[int, ...]:
    if not route.match:
        return (1,)
    match = route.match[0]
    ranks = {Exact: 3, Prefix: 2, Regex: 1}
    rank, length = -1, 0
    if match.uri is not None:
        rank = ranks[type(match.uri)]
        value = match.uri.pattern if isinstance(match.uri, Regex) else match.uri.value
        length = len(value.encode())
    return (
        0,
        -rank,
        -length,
        1 if match.method is None else 0,
        -len(match.headers),
        -len(match.query_params),
    )
