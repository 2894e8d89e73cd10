"""Retries: that none repeats a write that may have been applied, and that there is time for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.retries import DEFAULT_ATTEMPTS
from ..findings import Severity
from ..inventory import Inventory
from ..reach import Arrival, Reached, reach
from ..rule import Problem, Rule
from ..subjects import Subject

#: After these the server may have applied the request already.
_UNSAFE: Final = frozenset({"5xx", "gateway-error", "reset", "deadline-exceeded", "internal"})
_KEY: Final = "idempotency-key"


def _writing(inventory: Inventory) -> Iterator[tuple[Subject, Reached, str]]:
    """Yield the rules that can carry writes which nothing makes repeatable, with their methods."""
    for subject, service in inventory.virtual_services():
        for reached in reach(service):
            unkeyed: frozenset[str] = frozenset().union(
                *(each.writes for each in reached.arrivals if not _keyed(each))
            )
            if reached.route.route and unkeyed:
                yield subject, reached, ", ".join(sorted(unkeyed))


def _keyed(arrival: Arrival) -> bool:
    """Tell whether only requests with an idempotency key arrive: they may be repeated."""
    headers = {} if arrival.match is None else arrival.match.headers
    return any(name.lower() == _KEY for name in headers)


def unsafe(inventory: Inventory) -> Iterator[Problem]:
    for subject, reached, methods in _writing(inventory):
        retries = reached.route.retries
        if retries is None or not retries.retry_on:
            continue
        if bad := [said for said in retries.conditions if _may_repeat(said)]:
            yield Problem(
                subject,
                retries.at("retryOn"),
                f"{methods} can get here, and {', '.join(bad)} may come after the write was"
                " applied: it would be applied twice",
                "give writes a rule of their own with attempts: 0,"
                " or retry on connect-failure,refused-stream",
            )


def _may_repeat(condition: str) -> bool:
    return condition in _UNSAFE or (condition.isdecimal() and int(condition) >= 500)


def default(inventory: Inventory) -> Iterator[Problem]:
    for subject, reached, methods in _writing(inventory):
        retries = reached.route.retries
        if retries is None or (retries.attempts and not retries.retry_on):
            attempts = DEFAULT_ATTEMPTS if retries is None else retries.attempts
            yield Problem(
                subject,
                reached.route.at("retries"),
                f"{methods} can get here, and Istio retries {attempts} times on connect-failure,"
                " refused-stream, unavailable, cancelled unless told otherwise: the last two of"
                " gRPC may come after the write, and the mesh's configuration can add more",
                "say attempts: 0, or retryOn: connect-failure,refused-stream",
            )


def cut_short(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for route in service.spec.http:
            retries = route.retries
            if not route.timeout or retries is None or retries.per_try_timeout is None:
                continue
            tries = retries.attempts + 1
            needed = retries.per_try_timeout * tries
            if route.timeout < needed:
                yield Problem(
                    subject,
                    route.at("timeout"),
                    f"{tries} tries of {retries.per_try_timeout.total_seconds():g} s need"
                    f" {needed.total_seconds():g} s, the timeout ends them after"
                    f" {route.timeout.total_seconds():g} s",
                    "raise timeout, or lower attempts or perTryTimeout",
                )


RULES: Final = (
    Rule(
        "unsafe-write-retries",
        Severity.ERROR,
        "no write is retried after it may have been applied, unless it has an Idempotency-Key",
        unsafe,
    ),
    Rule(
        "default-write-retries",
        Severity.WARNING,
        "rules that carry writes say how they are retried",
        default,
    ),
    Rule(
        "timeout-cuts-retries",
        Severity.WARNING,
        "timeout leaves room for the first try and all retries",
        cut_short,
    ),
)
