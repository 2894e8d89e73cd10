"""Which rule of which object each of Envoy's routes comes from.

A translation keeps the names of routes. So each rule and each match gets a name that is looked up
afterwards. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..envoy.configuration import Objects
from ..envoy.gateway_api import with_gateway_api
from ..manifests.gateway_api.routes import ApiRoute, GrpcRouteRule, HttpRouteRule
from ..manifests.http_match import HttpMatch
from ..manifests.virtual_service import VirtualService

#: The rules that led to a route, then their matches: ``r1-r3.m1_0-m3_2``.
_TAGS: Final = re.compile(r"r\d+(?:-r\d+)?(?:\.m\d+_\d+(?:-m\d+_\d+)?)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """A match of a rule; ``name`` is the rule's own name, ``match`` is None without matches."""

    object: str
    rule: int
    match: int | None
    name: str = ""

    @property
    def place(self) -> str:
        """Return the JSON path of the match in the object's spec."""
        rules, matches = ("http", "match") if "Virtual" in self.object else ("rules", "matches")
        place = f"{rules}[{self.rule}]"
        return place if self.match is None else f"{place}.{matches}[{self.match}]"

    def __str__(self) -> str:
        """Return the rule for a person to read."""
        return f"{self.object} {self.place}{f' ({self.name})' if self.name else ''}"


class Origins:
    """The rules of all objects by the names that they got."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, int, str, int | None]] = []
        self._delegating: set[str] = set()

    @property
    def all(self) -> list[Origin]:
        """Return every match of every rule, without rules that only delegate."""
        found: dict[Origin, None] = {}
        for index, (title, rule, name, matches) in enumerate(self._rules):
            if f"r{index}" in self._delegating:
                continue
            for match in range(matches) if matches else (None,):
                found[Origin(title, rule, match, name)] = None
        return list(found)

    def find(self, route: str) -> tuple[Origin, ...]:
        """Return where a route comes from: the delegate's rule first; none for istiod's own."""
        if not _TAGS.fullmatch(route):
            return ()
        rules, _, matches = route.partition(".")
        places = dict(each[1:].split("_") for each in matches.split("-") if each)
        found = []
        for each in rules.split("-"):
            title, rule, name, count = self._rules[int(each[1:])]
            at = places.get(each[1:])
            found.append(Origin(title, rule, int(at) if count and at else None, name))
        return tuple(reversed(found))

    def add(self, title: str, rule: int, name: str | None, matches: int) -> str:
        """Register a rule; return the name that stands for it."""
        self._rules.append((title, rule, name or "", matches or None))
        return f"r{len(self._rules) - 1}"

    def mark_delegating(self, tag: str) -> None:
        """Say that a rule's requests are counted where it delegates to."""
        self._delegating.add(tag)


def title_of(each: VirtualService | ApiRoute) -> str:
    return f"{each.kind} {each.namespace}/{each.name}"


def with_origins(objects: Objects) -> tuple[Objects, Origins]:
    """Return the objects as istiod programs proxies from them, and where their routes come from."""
    origins = Origins()
    api = objects.gateway_api
    tagged = replace(
        objects,
        virtual_services=tuple(_tagged(each, origins) for each in objects.virtual_services),
        gateway_api=replace(api, routes=tuple(_one_by_one(api.routes, origins))),
    )
    return with_gateway_api(tagged), origins


def _tagged(service: VirtualService, origins: Origins) -> VirtualService:
    title = title_of(service)
    rules = []
    for index, rule in enumerate(service.spec.http):
        tag = origins.add(title, index, rule.name, len(rule.match))
        if rule.delegate:
            origins.mark_delegating(tag)
        matches = tuple(_named(each, f"m{tag[1:]}_{at}") for at, each in enumerate(rule.match))
        rules.append(rule.model_copy(update={"name": tag, "match": matches}))
    return service.model_copy(
        update={"spec": service.spec.model_copy(update={"http": tuple(rules)})}
    )


def _named(match: HttpMatch, name: str) -> HttpMatch:
    return match.model_copy(update={"name": name})


def _one_by_one(routes: Iterable[ApiRoute], origins: Origins) -> Iterator[ApiRoute]:
    """Yield the routes with a rule for each match, so that each has a name."""
    for route in routes:
        title = title_of(route)
        rules: list[HttpRouteRule | GrpcRouteRule] = []
        written: Sequence[HttpRouteRule | GrpcRouteRule] = route.spec.rules
        for index, rule in enumerate(written):
            tag = origins.add(title, index, rule.name, len(rule.matches))
            for at, match in enumerate(rule.matches):
                name = f"{tag}.m{tag[1:]}_{at}"
                rules.append(rule.model_copy(update={"name": name, "matches": (match,)}))
            if not rule.matches:
                rules.append(rule.model_copy(update={"name": tag}))
        spec = route.spec.model_copy(update={"rules": tuple(rules)})
        yield route.model_copy(update={"spec": spec})
