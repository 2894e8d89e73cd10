"""What a mesh does with a request: what Envoy showed, and what its route says. Pure.

Of retries, copies, faults and cross-origin rules one answer shows little. They are those of the
route that Envoy named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..envoy.configuration import Resource
from .destinations import Target
from .replies import Reply
from .requests import Request
from .view import View

#: What Envoy adds to every request and answer.
_USUAL: Final = frozenset(
    {
        "content-length",
        "content-type",
        "date",
        "forwarded",
        "host",
        "location",
        "server",
        "transfer-encoding",
        "via",
        "x-forwarded-client-cert",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    }
)
_ENVOY: Final = "x-envoy-"
_FAULT: Final = "envoy.filters.http.fault"
_CORS: Final = "envoy.filters.http.cors"


@dataclass(frozen=True, slots=True)
class Effect:
    """``facts`` are texts by what they are about; ``identity`` is equal for equal treatment."""

    facts: Mapping[str, str]
    identity: str
    destinations: tuple[tuple[Target, float], ...] = ()

    @property
    def where(self) -> str:
        """Return where requests go, or what they get instead."""
        return self.facts["to"]


def draws_of(route: Resource | None) -> tuple[int, ...]:
    """Return numbers that show every weight: the first and the last of each destination."""
    weighted = (route or {}).get("route", {}).get("weighted_clusters")
    if not weighted:
        return ()
    found, start = [], 0
    for each in weighted["clusters"]:
        weight = int(each["weight"])
        found += [start, start + weight - 1] if weight else []
        start += weight
    return tuple(dict.fromkeys(found))


def effect_of(
    view: View, request: Request, route: Resource | None, replies: Sequence[Reply]
) -> Effect:
    """Return what happened to a request that was sent once for each draw, at least once.

    ``route`` is the one that Envoy named.
    """
    first = replies[0]
    facts: dict[str, str] = {}
    identity: dict[str, Any] = {}
    destinations: tuple[tuple[Target, float], ...] = ()
    if first.seen is None:
        facts["to"] = _answer(first)
        identity["to"] = facts["to"]
        if location := first.headers.get("location"):
            facts["location"] = identity["location"] = location
    else:
        destinations = tuple(_destinations(view, route, replies))
        facts["to"] = ", ".join(f"{each.short} {share:g} %" for each, share in destinations)
        identity["to"] = sorted(_merged(destinations).items())
        seen = first.seen
        shown = {
            "path": seen.path if seen.path != request.path else "",
            "host": seen.host if seen.host != request.authority else "",
            **_added("request header", seen.headers, request),
        }
        facts |= {name: each for name, each in shown.items() if each}
        identity |= facts | {"to": identity["to"]}
    answered = _added("response header", first.headers, None)
    facts |= answered
    identity |= answered
    facts |= dict(_of_route(route))
    identity |= dict(_of_route(route))
    for target, share in _copies(view, route):
        facts[f"copies to {target.short}"] = f"{share:g} %"
        identity[f"copies to {_key(target)}"] = share
    return Effect(facts, json.dumps(identity, sort_keys=True), destinations)


def differences(old: Effect, new: Effect) -> Iterator[str]:
    """Yield how the treatment changed, for a person to read."""
    if old.destinations and new.destinations:
        if _merged(old.destinations) != _merged(new.destinations):
            same_names = old.where == new.where
            shown = [_with_pods(each) if same_names else each.where for each in (old, new)]
            yield " → ".join(shown)
    elif old.where != new.where:
        yield f"{old.where} → {new.where}"
    # What a route says about forwarding means nothing where the other does not forward.
    both = bool(old.destinations) == bool(new.destinations)
    for name in dict.fromkeys((*old.facts, *new.facts)):
        one, other = old.facts.get(name, "none"), new.facts.get(name, "none")
        if name != "to" and one != other and (both or name == "location"):
            yield f"{name} {one} → {other}"


def _destinations(
    view: View, route: Resource | None, replies: Sequence[Reply]
) -> Iterator[tuple[Target, float]]:
    """Yield each destination with its share: the weight between the draws that showed it."""
    weighted = (route or {}).get("route", {}).get("weighted_clusters")
    if not weighted or len(replies) == 1:
        for each in replies[:1]:
            if each.seen:
                yield view.target(each.seen.cluster), 100.0
        return
    total = sum(int(each["weight"]) for each in weighted["clusters"])
    by_draw = dict(zip(draws_of(route), replies, strict=True))
    start = 0
    shares: dict[Target, float] = {}
    for each in weighted["clusters"]:
        weight = int(each["weight"])
        if weight:
            seen = [by_draw[draw].seen for draw in (start, start + weight - 1)]
            names = {one.cluster if one else "" for one in seen}
            name = names.pop() if len(names) == 1 else ""
            target = view.target(name) if name else Target("no pod", "")
            shares[target] = shares.get(target, 0.0) + 100 * weight / total
        start += weight
    yield from shares.items()


def _merged(destinations: Sequence[tuple[Target, float]]) -> dict[str, float]:
    """Return the shares by what makes destinations the same."""
    found: dict[str, float] = {}
    for each, share in destinations:
        found[_key(each)] = round(found.get(_key(each), 0.0) + share, 6)
    return found


def _key(target: Target) -> str:
    """Return what makes destinations the same: their pods, if they are known."""
    return json.dumps(sorted(target.pods) or [target.host, target.port, target.subset])


def _with_pods(effect: Effect) -> str:
    return ", ".join(
        f"{each.short} {share:g} % ({', '.join(sorted(each.pods)) or 'no pods'})"
        for each, share in effect.destinations
    )


def _answer(reply: Reply) -> str:
    if reply.status == 0:
        return "no connection"
    reason = reply.reason.strip().splitlines()
    return f"{reply.status}{f' ({reason[0][:60]})' if reason else ''}"


def _added(what: str, headers: Mapping[str, str], request: Request | None) -> dict[str, str]:
    """Return the headers that a route set, with those of the request that it removed."""
    sent = {name.lower(): value for name, value in request.headers} if request else {}
    found = {
        f"{what} {name}": value
        for name, value in headers.items()
        if name not in _USUAL and not name.startswith(_ENVOY) and sent.get(name) != value
    }
    return found | {f"{what} {name}": "removed" for name in sent if name not in headers}


def _of_route(route: Resource | None) -> Iterator[tuple[str, str]]:
    action = (route or {}).get("route", {})
    policy = action.get("retry_policy", {})
    for name, value in (
        ("timeout", action.get("timeout")),
        ("timeout of a try", policy.get("per_try_timeout")),
        ("retries", _retries(policy)),
    ):
        if value and value != "0s":
            yield name, str(value)
    filters = (route or {}).get("typed_per_filter_config", {})
    for name, key in (("fault", _FAULT), ("cross-origin rules", _CORS)):
        if key in filters:
            fields = {field: each for field, each in filters[key].items() if field != "@type"}
            yield name, json.dumps(fields, sort_keys=True)


def _copies(view: View, route: Resource | None) -> Iterator[tuple[Target, float]]:
    for each in (route or {}).get("route", {}).get("request_mirror_policies", ()):
        share = int(each["runtime_fraction"]["default_value"]["numerator"]) / 10_000
        yield view.target(each["cluster"]), share


def _retries(policy: Mapping[str, Any]) -> str:
    if not policy:
        return ""
    codes = "".join(f",{each}" for each in policy.get("retriable_status_codes", ()))
    backoff = policy.get("retry_back_off", {}).get("base_interval")
    count = policy.get("num_retries", 1)
    return f"{count} on {policy.get('retry_on')}{codes}{f' after {backoff}' if backoff else ''}"
