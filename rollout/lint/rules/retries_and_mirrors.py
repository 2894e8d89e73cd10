"""Rules for retries and mirrors: no write is applied twice, and retries have enough time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...manifests.retries import DEFAULT_ATTEMPTS, DEFAULT_CONDITIONS
from ..context import LintContext
from ..findings import Severity
from ..reachability import ReachableMatch, ReachableRoute, reachable_routes
from ..resource import Resource
from ..rule import Problem, Rule

#: Under these retry conditions the server may already have applied the request.
_UNSAFE_CONDITIONS: Final = frozenset(
    {"5xx", "gateway-error", "reset", "deadline-exceeded", "internal"}
)
_IDEMPOTENCY_KEY: Final = "idempotency-key"
_SAFE_RETRIES: Final = "retryOn: connect-failure,refused-stream"


def _routes_with_writes(context: LintContext) -> Iterator[tuple[Resource, ReachableRoute, str]]:
    """Yield the routes that get writes without an idempotency key, with the methods."""
    for resource, service in context.virtual_services():
        for reachable in reachable_routes(service):
            writes: frozenset[str] = frozenset().union(
                *(each.writes for each in reachable.matches if not _requires_key(each))
            )
            if reachable.route.route and writes:
                yield resource, reachable, ", ".join(sorted(writes))


def _requires_key(reachable: ReachableMatch) -> bool:
    """Return True if all matched requests have an idempotency key, which makes retries safe."""
    headers = {} if reachable.match is None else reachable.match.headers
    return any(name.lower() == _IDEMPOTENCY_KEY for name in headers)


def unsafe_write_retries(context: LintContext) -> Iterator[Problem]:
    for resource, reachable, methods in _routes_with_writes(context):
        retries = reachable.route.retries
        if retries is None or not retries.retry_on:
            continue
        if unsafe := [each for each in retries.conditions if _is_unsafe(each)]:
            yield Problem(
                resource,
                retries.json_path("retryOn"),
                f"the route accepts {methods} and retries on {', '.join(unsafe)}, which may occur"
                " after the server applied the write: the retry then applies it again",
                f"give writes their own route with attempts: 0, or use {_SAFE_RETRIES}",
            )


def _is_unsafe(condition: str) -> bool:
    return condition in _UNSAFE_CONDITIONS or (condition.isdecimal() and int(condition) >= 500)


def default_write_retries(context: LintContext) -> Iterator[Problem]:
    for resource, reachable, methods in _routes_with_writes(context):
        retries = reachable.route.retries
        if retries is None or (retries.attempts and not retries.retry_on):
            attempts = DEFAULT_ATTEMPTS if retries is None else retries.attempts
            yield Problem(
                resource,
                reachable.route.json_path("retries"),
                f"the route accepts {methods} and does not set retryOn, so Istio retries up to"
                f" {attempts} times on {', '.join(DEFAULT_CONDITIONS)}: the last two may repeat an"
                " applied gRPC write, and the mesh's configuration may add conditions",
                f"set attempts: 0, or {_SAFE_RETRIES}",
            )


def timeout_cuts_retries(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for route in service.spec.http:
            retries = route.retries
            if not route.timeout or retries is None or retries.per_try_timeout is None:
                continue
            tries = retries.attempts + 1
            needed = retries.per_try_timeout * tries
            if route.timeout < needed:
                yield Problem(
                    resource,
                    route.json_path("timeout"),
                    f"{tries} tries of {retries.per_try_timeout.total_seconds():g} s need"
                    f" {needed.total_seconds():g} s, but the timeout ends them after"
                    f" {route.timeout.total_seconds():g} s",
                    "raise timeout, or lower attempts or perTryTimeout",
                )


def mirrored_writes(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for reachable in reachable_routes(service):
            writes = ", ".join(sorted(reachable.writes))
            for destination, percent in reachable.route.mirror_destinations:
                if writes and percent:
                    yield Problem(
                        resource,
                        destination.json_path(),
                        f"the route accepts {writes} and mirrors {percent:g} % of its requests to"
                        f' "{destination.host}": if both use the same store, the writes are applied'
                        " twice",
                        "mirror only a route that matches GET and HEAD; if the mirror has its own"
                        " store, allow this rule",
                    )


RULES: Final = (
    Rule(
        "unsafe-write-retries",
        Severity.ERROR,
        "a write that may have been applied must not be retried without an Idempotency-Key",
        unsafe_write_retries,
    ),
    Rule(
        "default-write-retries",
        Severity.WARNING,
        "a route for writes should set its own retry conditions",
        default_write_retries,
    ),
    Rule(
        "timeout-cuts-retries",
        Severity.WARNING,
        "the timeout should leave time for the first try and all retries",
        timeout_cuts_retries,
    ),
    Rule(
        "mirrored-writes",
        Severity.ERROR,
        "writes must not be mirrored; allow this only for a mirror with its own store",
        mirrored_writes,
    ),
)
