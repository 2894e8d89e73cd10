"""Rules for matches: every route gets requests, and every request matches a route. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from ...manifests.hosts import expand_host
from ...manifests.http_match import IGNORED_HEADERS
from ...manifests.string_match import Prefix
from ...manifests.virtual_service import VirtualService
from ..context import LintContext
from ..findings import Severity
from ..http_ports import HttpPorts
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
    others = _by_host(service for _, service in services)
    ports = HttpPorts(context)
    for resource, service in services:
        for gateway in service.gateways if service.spec.http else ():
            unmatched: frozenset[str] = frozenset()
            for port in ports.at(gateway, service) or (None,):
                beside = (each for host in _hosts(service) for each in others[gateway, host])
                unmatched |= _unmatched_by_all(chain((service,), beside), gateway, port)
            if unmatched:
                requests = "requests" if unmatched == METHODS else f"{_render(unmatched)} requests"
                yield Problem(
                    resource,
                    service.spec.json_path("http"),
                    f"at {gateway}, {requests} that match no route get 404",
                    "add a last route without match",
                )
                break


def _unmatched_by_all(
    services: Iterable[VirtualService], gateway: str, port: int | None
) -> frozenset[str]:
    unmatched = METHODS
    for each in services:
        unmatched &= unmatched_methods(each, gateway, port)
        if not unmatched:
            break
    return unmatched


def _by_host(services: Iterable[VirtualService]) -> Mapping[tuple[str, str], list[VirtualService]]:
    """Return the VirtualServices by gateway and host."""
    found: defaultdict[tuple[str, str], list[VirtualService]] = defaultdict(list)
    for service in services:
        for gateway in service.gateways:
            for host in _hosts(service):
                found[gateway, host].append(service)
    return found


def _hosts(service: VirtualService) -> set[str]:
    return {expand_host(host, service.namespace) for host in service.spec.hosts}


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
