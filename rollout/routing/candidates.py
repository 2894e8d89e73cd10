"""Requests that two configurations may treat differently, found from their matches. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ..envoy.configuration import Resource
from .destinations import Target
from .evaluation import HostTable
from .request_classes import pair_classes
from .requests import Request
from .view import View

_OTHER: Final = "other.example"
_FIRST: Final = "any"


class ViewPair(NamedTuple):
    """What one caller's proxy is programmed with on both sides; None if it is not there."""

    caller: str
    old: View | None
    new: View | None


class Candidate(NamedTuple):
    """A request, and the route that takes it on each side, as far as the matches tell."""

    pair: ViewPair
    request: Request
    old: Resource | None
    new: Resource | None


@dataclass(slots=True)
class Candidates:
    """``gaps`` say what was not compared completely. ``classes`` counts the pairs of routes."""

    found: list[Candidate] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    classes: int = 0


def find_candidates(pairs: Sequence[ViewPair]) -> Candidates:
    """Return requests for every pair of routes whose treatment may differ."""
    found = Candidates()
    for pair in pairs:
        signed = (_Signatures(pair.old), _Signatures(pair.new))
        for base, hosts in _host_pairs(pair):
            texts = [each.of_host(host) for each, host in zip(signed, hosts, strict=True)]
            if texts[0] == texts[1]:
                continue
            lists = [list(host["routes"]) if host else [] for host in hosts]
            tls = any(each is not None and each.is_encrypted(base) for each in pair[1:])
            classes = pair_classes(lists[0], lists[1], base, tls=tls)
            found.gaps += (
                f"{base.authority}: {each} is only tried on samples" for each in classes.gaps
            )
            found.gaps += (
                f"{base.authority}: routes by claims of a token are not compared"
                for each in (one for some in lists for one in some)
                if each["match"].get("dynamic_metadata")
            )
            for each in classes.classes:
                old = None if each.old is None else lists[0][each.old]
                new = None if each.new is None else lists[1][each.new]
                found.classes += 1
                present = pair.old is not None and pair.new is not None
                if present and signed[0].of_route(old) == signed[1].of_route(new):
                    continue
                several = _by_path(old) or _by_path(new)
                for request in each.witnesses if several else each.witnesses[:1]:
                    found.found.append(Candidate(pair, request, old, new))
    found.gaps = list(dict.fromkeys(found.gaps))
    return found


def host_bases(view: View) -> Iterator[tuple[Request, Resource, str]]:
    """Yield a request to each virtual host, with a text that is equal for equal ones."""
    signed = _Signatures(view)
    for base, (host, _) in _host_pairs(ViewPair("", view, view)):
        if host is not None:
            yield base, host, signed.of_host(host)


def _host_pairs(
    pair: ViewPair,
) -> Iterator[tuple[Request, tuple[Resource | None, Resource | None]]]:
    """Yield a request for each pair of virtual hosts that some Host header leads to."""
    views = [each for each in pair[1:] if each is not None]
    entries = {entry: None for each in views for entry in each.entries}
    for port, tls in entries:
        tables: dict[int, HostTable] = {}
        seen: set[tuple[int, int]] = set()
        for authority in _authorities(views):
            base = _base(authority, port, views, tls=tls)
            hosts: list[Resource | None] = []
            for view in pair[1:]:
                table = view.table(base) if view else None
                if table is None:
                    hosts.append(None)
                    continue
                index = tables.setdefault(id(table), HostTable(table))
                hosts.append(index.find(base.authority))
            key = (id(hosts[0]), id(hosts[1]))
            if key not in seen and (hosts[0] or hosts[1]):
                seen.add(key)
                yield base, (hosts[0], hosts[1])


def _authorities(views: Sequence[View]) -> list[str]:
    """Return a Host header for each domain, and for each host that a match names."""
    found: dict[str, None] = {}
    for view in views:
        for table in view.configuration.route_configurations:
            for host in table["virtual_hosts"]:
                for each in host["domains"]:
                    found[_concrete(each)] = None
                for route in host["routes"]:
                    for each in route["match"].get("headers", ()):
                        if each["name"] == ":authority":
                            match = each.get("string_match", {})
                            text = match.get("exact") or match.get("prefix")
                            found.update({text: None} if text else {})
    return list(found)


def _concrete(domain: str) -> str:
    if domain == "*":
        return _OTHER
    if domain.startswith("*"):
        return f"{_FIRST}{domain[1:]}"
    return f"{domain[:-1]}{_FIRST}" if domain.endswith("*") else domain


def _base(authority: str, port: int, views: Sequence[View], *, tls: bool) -> Request:
    host, colon, number = authority.partition(":")
    written = int(number) if colon and number.isdecimal() else None
    plain = Request(host=host, port=written, tls=tls)
    if port and any(each.port_of(plain) != port for each in views):
        return Request(host=host, port=port, tls=tls)
    return plain


class _Signatures:
    """Texts that are equal for virtual hosts and routes with the same effect."""

    def __init__(self, view: View | None) -> None:
        self._view = view
        self._hosts: dict[int, str] = {}

    def of_host(self, host: Resource | None) -> str:
        if host is None:
            return ""
        if id(host) not in self._hosts:
            routes = [(each["match"], self.of_route(each)) for each in host["routes"]]
            text = json.dumps([routes, host.get("require_tls")], sort_keys=True)
            self._hosts[id(host)] = text
        return self._hosts[id(host)]

    def of_route(self, route: Resource | None) -> str:
        if route is None or self._view is None:
            return ""
        fields = {name: each for name, each in route.items() if name not in {"name", "match"}}
        if "route" in fields:
            fields["route"] = self._action(fields["route"])
        # What a rewrite replaces is what the match found.
        return json.dumps([fields, route["match"] if _by_path(route) else None], sort_keys=True)

    def _action(self, action: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(action)
        # It is the status where a destination is missing.
        missing = found.pop("cluster_not_found_response_code", None)
        destinations: dict[str, float] = {}
        if "cluster" in found:
            destinations[self._destination(found.pop("cluster"), missing)] = 1.0
        weighted = found.pop("weighted_clusters", {"clusters": ()})["clusters"]
        total = sum(int(each["weight"]) for each in weighted)
        for each in weighted:
            extra = {key: one for key, one in each.items() if key not in {"name", "weight"}}
            name = self._destination(each["name"], missing) + json.dumps(extra, sort_keys=True)
            share = int(each["weight"]) / total
            destinations[name] = round(destinations.get(name, 0.0) + share, 9)
        found["to"] = destinations
        mirrors = found.pop("request_mirror_policies", ())
        found["mirrors"] = [
            {**each, "cluster": self._destination(each["cluster"], None)} for each in mirrors
        ]
        return found

    def _destination(self, cluster: str, missing: Any) -> str:
        assert self._view is not None  # noqa: S101 - there are no routes without one
        target: Target = self._view.target(cluster)
        if target.pods:
            return json.dumps(sorted(target.pods))
        return json.dumps([str(target), self._view.has_cluster(cluster) or missing])


def _by_path(route: Resource | None) -> bool:
    """Return True if the effect of a route depends on the path that it matched."""
    if route is None:
        return False
    action = {**route.get("route", {}), **route.get("redirect", {})}
    return "prefix_rewrite" in action or "regex_rewrite" in action
