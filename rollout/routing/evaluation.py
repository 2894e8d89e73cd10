"""Envoy's choice of a route, retraced condition by condition. Pure.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..envoy.configuration import Resource
from ..manifests.string_match import compile_regex
from .requests import Request

_WHAT: Final = {":method": "the method", ":authority": "the host", ":scheme": "the scheme"}


class HostTable:
    """The virtual hosts of a route configuration, to find many of them."""

    def __init__(self, routes: Resource) -> None:
        self._any_port = bool(routes.get("ignore_port_in_host_matching"))
        self._names: dict[str, Resource] = {}
        self._wildcards: list[tuple[str, Resource]] = []
        for each in routes["virtual_hosts"]:
            for domain in each["domains"]:
                if domain.startswith("*") or domain.endswith("*"):
                    self._wildcards.append((domain.lower(), each))
                else:
                    self._names[domain.lower()] = each

    def find(self, authority: str) -> Resource | None:
        """Return the virtual host for a Host header: its name, else the longest wildcard."""
        host = authority.lower()
        if self._any_port:
            host = host.partition(":")[0]
        if host in self._names:
            return self._names[host]
        best: Resource | None = None
        longest = (-1, 0)
        for domain, each in self._wildcards:
            if (found := _fits(domain, host)) and found > longest:
                best, longest = each, found
        return best


def virtual_host(routes: Resource, authority: str) -> Resource | None:
    """Return the virtual host for a Host header."""
    return HostTable(routes).find(authority)


def _fits(domain: str, host: str) -> tuple[int, int] | None:
    """Return how well a wildcard fits, None if it does not."""
    if domain == "*":
        return 0, 0
    if domain.startswith("*") and host.endswith(domain[1:]) and len(host) >= len(domain):
        return 2, len(domain)
    if domain.endswith("*") and host.startswith(domain[:-1]) and len(host) >= len(domain):
        return 1, len(domain)
    return None


def chosen_route(
    host: Resource, request: Request, *, tls: bool = False
) -> tuple[int, Resource] | None:
    """Return the first route that takes a request, with its index."""
    for index, route in enumerate(host["routes"]):
        if next(refusals(route["match"], request, tls=tls), None) is None:
            return index, route
    return None


def refusals(match: Mapping[str, Any], request: Request, *, tls: bool = False) -> Iterator[str]:
    """Yield why a route does not take a request: a text for each condition that it fails."""
    if not path_matches(match, request.path_only):
        yield f"the path {request.path_only} {path_text(match)}"
    for condition in match.get("headers", ()):
        name = condition["name"]
        values = _values(request, name, tls=tls)
        joined = ",".join(values) if values else None
        if not header_matches(condition, joined):
            what = _WHAT.get(name, f"the header {name}")
            yield f"{what} is {_shown(joined)}, and must {condition_text(condition)}"
    for condition in match.get("query_parameters", ()):
        first = next((each for name, each in request.query if name == condition["name"]), None)
        if not header_matches(condition, first):
            what = f"the query parameter {condition['name']}"
            yield f"{what} is {_shown(first)}, and must {condition_text(condition)}"
    if match.get("dynamic_metadata"):
        yield "its claims of a token are not there, or not looked at here"


def path_matches(match: Mapping[str, Any], path: str) -> bool:
    if "safe_regex" in match:
        return compile_regex(match["safe_regex"]["regex"]).fullmatch(path) is not None
    fold = not match.get("case_sensitive", True)
    text = path.lower() if fold else path
    for kind in ("path", "prefix", "path_separated_prefix"):
        if kind in match:
            wanted = match[kind].lower() if fold else match[kind]
            if kind == "path":
                return bool(text == wanted)
            rest = text[len(wanted) :]
            whole = kind == "prefix" or rest == "" or rest.startswith("/")
            return text.startswith(wanted) and whole
    return True


def header_matches(condition: Mapping[str, Any], value: str | None) -> bool:
    """Return True if a header or a query parameter is as it must be; None is without it."""
    inverted = bool(condition.get("invert_match"))
    if "present_match" in condition:
        return ((value is not None) == bool(condition["present_match"])) != inverted
    if value is None:
        if not condition.get("treat_missing_header_as_empty"):
            return False
        value = ""
    return string_matches(condition["string_match"], value) != inverted


def string_matches(match: Mapping[str, Any], value: str) -> bool:
    if "exact" in match:
        return bool(value == match["exact"])
    if "prefix" in match:
        return value.startswith(str(match["prefix"]))
    return compile_regex(match["safe_regex"]["regex"]).fullmatch(value) is not None


def condition_text(condition: Mapping[str, Any]) -> str:
    """Return what a header or a query parameter must do, after ``must``."""
    no = "not " if condition.get("invert_match") else ""
    if "present_match" in condition:
        return f"{no}be there"
    return f"{no}{_must(condition['string_match'])}"


def path_text(match: Mapping[str, Any]) -> str:
    """Return why a path is not that of a match, after the path."""
    fold = "" if match.get("case_sensitive", True) else " in any case"
    if "safe_regex" in match:
        return f"does not match {match['safe_regex']['regex']} as a whole"
    if "path" in match:
        return f"is not {match['path']}{fold}"
    if "path_separated_prefix" in match:
        return f"is neither {match['path_separated_prefix']} nor below it{fold}"
    return f"does not begin with {match.get('prefix')}{fold}"


def _must(match: Mapping[str, Any]) -> str:
    if "exact" in match:
        return f"be {match['exact']}"
    if "prefix" in match:
        return f"begin with {match['prefix']}"
    return f"match {match['safe_regex']['regex']}"


def _shown(value: str | None) -> str:
    return "absent" if value is None else value or "empty"


def _values(request: Request, name: str, *, tls: bool) -> Sequence[str]:
    own = {
        ":method": request.method,
        ":authority": request.authority,
        ":scheme": "https" if tls else "http",
    }
    return [own[name]] if name in own else request.values(name)
