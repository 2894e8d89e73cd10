"""Which requests get to a rule of a VirtualService, after the rules above it took theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..manifests.http_match import HttpMatch
from ..manifests.http_route import HttpRoute
from ..manifests.matches import Exact, Prefix, Present, Regex, ValueMatch
from ..manifests.virtual_service import VirtualService

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Stands for every method without a name here.
OTHER: Final = "another method"
METHODS: Final = WRITES | {"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", OTHER}

_ANYTHING: Final = frozenset({".*", "^.*$", "(.*)", ".+"})
_ANY_PATH: Final = (None, Prefix("/"), Regex("/.*"), Regex("^/.*$"), Regex("/(.*)"))
_WORDS: Final = re.compile(r"\^?\(?([A-Z]+(?:\|[A-Z]+)*)\)?\$?")
_EVERY_REQUEST: Final = HttpMatch()


@dataclass(frozen=True, slots=True)
class Arrival:
    """What arrives by one match of a rule: the methods, and at which gateways.

    ``match`` is None for a rule without matches; ``index`` counts the matches of the rule.
    """

    match: HttpMatch | None
    index: int
    gateways: frozenset[str]
    methods: frozenset[str]

    @property
    def writes(self) -> frozenset[str]:
        return self.methods & WRITES


@dataclass(frozen=True, slots=True)
class Reached:
    """One rule and what arrives by each of its matches."""

    route: HttpRoute
    arrivals: tuple[Arrival, ...]

    @property
    def writes(self) -> frozenset[str]:
        """Return the writing methods that the rule can carry."""
        return frozenset().union(*(each.writes for each in self.arrivals))


def reach(service: VirtualService) -> Iterator[Reached]:
    """Yield the rules in their order, each with what still arrives there."""
    above: list[tuple[HttpMatch, frozenset[str]]] = []
    for route in service.spec.http:
        arrivals = []
        for index, match in enumerate(route.match or (_EVERY_REQUEST,)):
            gateways = gateways_of(match, service)
            left = {gateway: _left(match, gateway, above) for gateway in gateways}
            arrivals.append(
                Arrival(
                    match if route.match else None,
                    index,
                    frozenset(gateway for gateway, methods in left.items() if methods),
                    frozenset().union(*left.values()),
                )
            )
            # A rule's own matches are alternatives, but the first of two equal ones wins there too.
            above.append((match, gateways))
        yield Reached(route, tuple(arrivals))


def missed(service: VirtualService, gateway: str) -> frozenset[str]:
    """Return the methods of which some request at a gateway is matched by no rule."""
    every = [
        (match, gateways_of(match, service))
        for route in service.spec.http
        for match in route.match or (_EVERY_REQUEST,)
    ]
    return _left(_EVERY_REQUEST, gateway, every)


def gateways_of(match: HttpMatch, service: VirtualService) -> frozenset[str]:
    """Return the gateways that a match is for, ``mesh`` among them."""
    if match.gateways:
        return frozenset(service.qualify(each) for each in match.gateways)
    return frozenset(service.gateways)


def methods_of(match: HttpMatch) -> frozenset[str]:
    """Return the methods that a match lets through, as far as a pattern can be told apart."""
    method = match.method
    if _any_method(match):
        return METHODS
    if isinstance(method, Exact):
        return frozenset({method.value if method.value in METHODS else OTHER})
    named = frozenset(each for each in METHODS if method is not None and method.matches(each))
    words = _WORDS.fullmatch(method.pattern) if isinstance(method, Regex) else None
    strangers = words is None or not METHODS.issuperset(words[1].split("|"))
    return named | {OTHER} if strangers else named - {OTHER}


def _any_method(match: HttpMatch) -> bool:
    method = match.method
    return method is None or (isinstance(method, Regex) and method.pattern in _ANYTHING)


def _left(
    match: HttpMatch, gateway: str, above: Sequence[tuple[HttpMatch, frozenset[str]]]
) -> frozenset[str]:
    methods = methods_of(match)
    for earlier, gateways in above:
        if gateway in gateways and _covers(earlier, match):
            taken = methods_of(earlier)
            # Of the methods without a name, only a match of all of them takes all.
            methods -= taken if _any_method(earlier) else taken - {OTHER}
    return methods


def _covers(earlier: HttpMatch, later: HttpMatch) -> bool:
    """Tell whether, methods aside, whatever ``later`` matches is matched by ``earlier`` too."""
    return (
        _covers_path(earlier, later)
        and _implied(earlier.authority, later.authority)
        and _implied(earlier.scheme, later.scheme)
        and earlier.port in {None, later.port}
        and all(
            name in later.headers and _implied(match, later.headers[name])
            for name, match in earlier.headers.items()
        )
        and all(
            name in later.query_params and _implied(match, later.query_params[name])
            for name, match in earlier.query_params.items()
        )
        and all(
            later.without_headers.get(name) == match
            for name, match in earlier.without_headers.items()
        )
    )


def _covers_path(earlier: HttpMatch, later: HttpMatch) -> bool:
    if earlier.uri in _ANY_PATH:
        return True
    if earlier.ignore_uri_case:
        return _implied(_lowered(earlier.uri), _lowered(later.uri))
    return not later.ignore_uri_case and _implied(earlier.uri, later.uri)


def _lowered(match: ValueMatch | None) -> ValueMatch | None:
    match match:
        case Exact(value):
            return Exact(value.lower())
        case Prefix(value):
            return Prefix(value.lower())
    return match


def _implied(wider: ValueMatch | None, narrower: ValueMatch | None) -> bool:
    """Tell whether whatever fits ``narrower`` fits ``wider``; None fits everything."""
    match wider, narrower:
        case None, _:
            return True
        case _, None:
            return isinstance(wider, Regex) and wider.pattern in _ANYTHING
        case Present(), _:
            return True
        case Regex(pattern), _ if pattern in _ANYTHING:
            return True
        case _, Exact(value):
            return wider.matches(value)
        case Prefix(short), Prefix(long):
            return long.startswith(short)
    return wider == narrower
