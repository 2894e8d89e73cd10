"""Rules for matches: every route gets requests, and every request matches a route. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import expand_host
from ...manifests.http_match import IGNORED_HEADERS
from ...manifests.string_match import Prefix
from ...manifests.virtual_service import VirtualService
from ..context import LintContext
from ..findings import Severity
from ..reachability import METHODS, OTHER, reachable_routes, unmatched_methods
from ..rule import Problem, Rule

_MOVE_IT: Final = "move it up, or remove it"


def unreachable_route(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for reachable in reachable_routes(service):
            unreachable = [each for each in reachable.matches if not each.methods]
            if len(unreachable) == len(reachable.matches):
                yield Problem(
                    resource,
                    reachable.route.json_path(),
                    "no request reaches this route, because the routes above match all of its"
                    " requests",
                    _MOVE_IT,
                )
                continue
            for each in unreachable:
                if each.match:
                    yield Problem(
                        resource,
                        each.match.json_path(),
                        "no request reaches this match, because the matches above match all of its"
                        " requests",
                        _MOVE_IT,
                    )


def prefix_splits_segment(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for route in service.spec.http:
            for match in route.match:
                if isinstance(match.uri, Prefix) and match.uri.value[-1:] not in {"", "/"}:
                    prefix = match.uri.value
                    yield Problem(
                        resource,
                        match.json_path("uri", "prefix"),
                        f"the prefix {prefix} also matches {prefix}x, because Envoy compares"
                        " characters, not segments of the path",
                        f"match exact {prefix} and prefix {prefix}/",
                    )


def match_without_effect(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for match in (match for route in service.spec.http for match in route.match):
            for name in sorted(IGNORED_HEADERS):
                if name in match.headers:
                    yield Problem(
                        resource,
                        match.json_path("headers", name),
                        f'Istio ignores "{name}" under headers',
                        f"use the field {name} next to headers",
                    )
                elif match.is_set(name) and getattr(match, name) is None:
                    yield Problem(
                        resource,
                        match.json_path(name),
                        "the match is empty, so it matches everything",
                        "set one of exact, prefix and regex, or remove it",
                    )


def no_catch_all(context: LintContext) -> Iterator[Problem]:
    services = list(context.virtual_services())
    for resource, service in services:
        for gateway in service.gateways if service.spec.http else ():
            unmatched = unmatched_methods(service, gateway)
            for _, other in services:
                if other is not service and _shares_host(service, other, gateway):
                    unmatched &= unmatched_methods(other, gateway)
            if unmatched:
                requests = "requests" if unmatched == METHODS else f"{_render(unmatched)} requests"
                yield Problem(
                    resource,
                    service.spec.json_path("http"),
                    f"at {gateway}, {requests} that match no route get 404",
                    "add a last route without match",
                )
                break


def _shares_host(one: VirtualService, other: VirtualService, gateway: str) -> bool:
    return gateway in other.gateways and bool(
        {expand_host(host, one.namespace) for host in one.spec.hosts}
        & {expand_host(host, other.namespace) for host in other.spec.hosts}
    )


def _render(methods: frozenset[str]) -> str:
    return ", ".join(sorted(methods - {OTHER})) or "other"


RULES: Final = (
    Rule(
        "unreachable-route",
        Severity.ERROR,
        "every route and match must get requests that nothing above it matches",
        unreachable_route,
    ),
    Rule(
        "prefix-splits-segment",
        Severity.WARNING,
        "the prefix of a path should end with a slash",
        prefix_splits_segment,
    ),
    Rule(
        "match-without-effect",
        Severity.WARNING,
        "a condition of a match should have an effect",
        match_without_effect,
    ),
    Rule(
        "no-catch-all",
        Severity.WARNING,
        "every request should match some route",
        no_catch_all,
    ),
)
