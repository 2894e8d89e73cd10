"""Matches: that every rule is reached, and every request matched as meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.hosts import expand_host
from ...manifests.matches import Prefix
from ...manifests.virtual_service import VirtualService
from ..findings import Severity
from ..inventory import Inventory
from ..reach import METHODS, OTHER, missed, reach
from ..rule import Problem, Rule


def unreachable(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for reached in reach(service):
            dead = [arrival for arrival in reached.arrivals if not arrival.methods]
            whole = len(dead) == len(reached.arrivals)
            if whole and dead:
                yield Problem(
                    subject,
                    reached.route.at(),
                    "no request gets here: the rules above match all of them",
                    "move it up, or remove it",
                )
                continue
            for arrival in dead:
                if arrival.match:
                    yield Problem(
                        subject,
                        arrival.match.at(),
                        "this match does nothing: what is above it matches the same requests",
                        "move it up, or remove it",
                    )


def splits_segment(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for route in service.spec.http:
            for match in route.match:
                if isinstance(match.uri, Prefix) and not match.uri.value.endswith("/"):
                    prefix = match.uri.value
                    yield Problem(
                        subject,
                        match.at("uri", "prefix"),
                        f"{prefix} also matches {prefix}x: a prefix doesn't end at a segment",
                        f"match exact {prefix} and prefix {prefix}/",
                    )


def no_catch_all(inventory: Inventory) -> Iterator[Problem]:
    services = list(inventory.virtual_services())
    for subject, service in services:
        for gateway in service.gateways:
            left = missed(service, gateway)
            for _, other in services:
                if other is not service and _shares_host(service, other, gateway):
                    left &= missed(other, gateway)
            if left:
                said = "requests" if left == METHODS else f"{_listed(left)} requests"
                yield Problem(
                    subject,
                    service.spec.at("http"),
                    f"at {gateway}, {said} that no rule matches get 404",
                    "end with a rule without match",
                )
                break


def _shares_host(one: VirtualService, other: VirtualService, gateway: str) -> bool:
    return gateway in other.gateways and bool(
        {expand_host(host, one.namespace) for host in one.spec.hosts}
        & {expand_host(host, other.namespace) for host in other.spec.hosts}
    )


def _listed(methods: frozenset[str]) -> str:
    return ", ".join(sorted(methods - {OTHER})) or "other"


RULES: Final = (
    Rule(
        "unreachable-route",
        Severity.ERROR,
        "every rule and match gets requests that none above it takes",
        unreachable,
    ),
    Rule(
        "prefix-splits-segment",
        Severity.WARNING,
        "a path's prefix ends at a segment",
        splits_segment,
    ),
    Rule(
        "no-catch-all",
        Severity.WARNING,
        "some rule matches every request",
        no_catch_all,
    ),
)
