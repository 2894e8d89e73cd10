"""Compares what a mesh did with a request with what an assertion expects. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..envoy.configuration import Resource
from .assertions import Assertion
from .destinations import Target
from .replies import Reply
from .sample_sizes import Bounds, bounds_for, bounds_of

#: Envoy counts milliseconds.
_ROUNDING_SECONDS: Final = 0.0005
TargetOf = Callable[[str], Target]


def judge_reply(assertion: Assertion, reply: Reply) -> Iterator[str]:
    """Yield what a single reply has otherwise than expected; destinations are judged by counts."""
    if isinstance(assertion.status, int) and reply.status != assertion.status:
        yield f"status: expected {assertion.status}, got {_status(reply)}"
    if assertion.to is not None and reply.seen is None:
        yield f"to: no pod got the request, the answer is {_status(reply)}"
    pod = assertion.pod
    if pod and reply.seen is None:
        yield f"pod: no pod got the request, the answer is {_status(reply)}"
    elif pod and reply.seen:
        for what, wanted, got in (
            ("path", pod.path, reply.seen.path),
            ("host", pod.host, reply.seen.host),
        ):
            if wanted is not None and wanted != got:
                yield f"pod.{what}: expected {wanted}, got {got}"
        yield from _headers("pod", pod.headers, reply.seen.headers)
    if assertion.response:
        yield from _headers("response", assertion.response.headers, reply.headers)


def judge_timeouts(assertion: Assertion, reply: Reply, route: Resource | None) -> Iterator[str]:
    """Yield which timeout is otherwise than expected.

    Envoy tells a pod the shorter of the two: the other is that of the route which it named.
    """
    if not assertion.timeouts:
        return
    if reply.seen is None or route is None:
        yield f"timeout: no pod got the request, the answer is {_status(reply)}"
        return
    action = route["route"]
    policy = action.get("retry_policy", {})
    got = {
        "timeout": float(action["timeout"].removesuffix("s")),
        "tryTimeout": float(policy.get("per_try_timeout", "0s").removesuffix("s")),
    }
    told = "tryTimeout" if got["tryTimeout"] else "timeout"
    got[told] = reply.seen.timeout_seconds
    for name, wanted in assertion.timeouts.items():
        if abs(got[name] - wanted) > _ROUNDING_SECONDS:
            yield f"{name}: expected {_seconds(wanted)}, got {_seconds(got[name])}"


def requests_needed(assertion: Assertion, destinations: int) -> int:
    """Return how many requests the shares of an assertion need.

    One is enough if the route that Envoy named has one destination.
    """
    shares = assertion.shares
    if destinations < 2 and all(each in {0.0, 100.0} for each in shares.values()):
        return 1
    return max(bounds_for(each, assertion.within).requests for each in shares.values())


def judge_shares(
    assertion: Assertion, counts: Mapping[str, int], target_of: TargetOf
) -> Iterator[str]:
    """Yield which destination got another share than expected; ``counts`` are by cluster."""
    total = sum(counts.values())
    left = dict(counts)
    for name, percent in assertion.shares.items():
        mine = [each for each in left if each and target_of(each).is_named(name)]
        got = sum(left.pop(each) for each in mine)
        bounds = bounds_of(total, percent)
        if not bounds.allow(got):
            yield f"to: {_expected(name, percent, bounds)}, got {_shown(counts, target_of)}"
            return
    others = {each: count for each, count in left.items() if count}
    if others:
        yield f"to: expected {_names(assertion)}, got {_shown(counts, target_of)}"


def judge_retries(assertion: Assertion, reply: Reply) -> Iterator[str]:
    """Yield a difference of the number of further attempts."""
    wanted = assertion.retries
    if wanted is None:
        return
    attempts = wanted if isinstance(wanted, int) else wanted.attempts
    got = reply.attempts - 1
    if got != attempts:
        yield f"retries: expected {attempts} after {reply.status}, got {got}"


def judge_copies(
    assertion: Assertion, total: int, copies: Mapping[str, int], target_of: TargetOf
) -> Iterator[str]:
    """Yield which mirror got another share than expected; ``copies`` are by cluster."""
    left = dict(copies)
    for name, percent in assertion.copies.items():
        mine = [each for each in left if target_of(each).is_named(name)]
        got = sum(left.pop(each) for each in mine)
        bounds = bounds_of(total, percent)
        if not bounds.allow(got):
            yield f"mirror: {_expected(name, percent, bounds)}, got {got} copies"
    for each, count in left.items():
        yield f"mirror: {target_of(each)} got {count} copies of {total} requests, expected none"


def judge_statuses(assertion: Assertion, counts: Mapping[int, int]) -> Iterator[str]:
    """Yield which status came more or less often than expected."""
    if not isinstance(assertion.status, dict):
        return
    total = sum(counts.values())
    for text, percent in assertion.status.items():
        got = counts.get(int(text), 0)
        bounds = bounds_of(total, percent)
        if not bounds.allow(got):
            yield f"status: {_expected(text, percent, bounds)}, got {got}"


def _expected(name: str, percent: float, bounds: Bounds) -> str:
    if bounds.requests == 1 or bounds.least == bounds.most:
        return f"expected {percent:g} % at {name}"
    return (
        f"expected {percent:g} % at {name}, which is {bounds.least} to {bounds.most} of"
        f" {bounds.requests} requests"
    )


def _names(assertion: Assertion) -> str:
    return ", ".join(f"{name} {share:g} %" for name, share in assertion.shares.items())


def _shown(counts: Mapping[str, int], target_of: TargetOf) -> str:
    total = sum(counts.values())
    parts = [
        f"{target_of(each) if each else 'no pod'} {count}"
        for each, count in sorted(counts.items(), key=lambda it: -it[1])
    ]
    if len(parts) == 1:
        return parts[0].rpartition(" ")[0]
    return f"{', '.join(parts)} of {total}"


def _headers(where: str, wanted: Mapping[str, str | None], got: Mapping[str, str]) -> Iterator[str]:
    for name, value in wanted.items():
        found = got.get(name.lower())
        if found != value:
            shown = "none" if value is None else value
            yield f"{where}.headers.{name}: expected {shown}, got {found or 'none'}"


def _status(reply: Reply) -> str:
    if reply.status == 0:
        return "nothing: no listener takes the connection"
    reason = reply.reason.strip().splitlines()
    return f"{reply.status}{f' ({reason[0][:100]})' if reason else ''}"


def _seconds(value: float) -> str:
    return f"{value:g}s" if value else "none"
