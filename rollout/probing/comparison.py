"""Compares what two meshes do with requests: candidates from their matches, confirmed by Envoy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..envoy.configuration import Resource
from ..rehearsal.applied_manifests import title_of
from ..routing.candidates import Candidate, Candidates, find_candidates
from ..routing.effects import Effect, differences, draws_of, effect_of
from ..routing.explanation import origin_text
from ..routing.replies import Reply
from ..routing.requests import Request
from ..routing.view import View
from .callers import view_pairs
from .mesh import Mesh
from .probe import Probe, Sent, probing

#: Kinds that decide about requests, and whose conditions are not looked for in requests.
_POLICIES: Final = frozenset({"AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"})


@dataclass(frozen=True, slots=True)
class Side:
    """What happened to a request: its effect, and the rule that took it."""

    effect: Effect
    rule: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A request that is treated differently, as Envoy showed; ``texts`` say how."""

    candidate: Candidate
    old: Side
    new: Side
    texts: tuple[str, ...]

    @property
    def caller(self) -> str:
        return self.candidate.pair.caller

    @property
    def request(self) -> Request:
        return self.candidate.request


@dataclass(frozen=True, slots=True)
class Comparison:
    """``not_compared`` could change requests, too; ``notes`` say what else is to know."""

    differences: tuple[Difference, ...]
    not_compared: tuple[str, ...]
    notes: tuple[str, ...]
    classes: int
    requests: int

    @property
    def is_empty(self) -> bool:
        return not (self.differences or self.not_compared)


async def compare(old: Mesh, new: Mesh) -> Comparison:
    """Compare two meshes; raise a kind of RehearsalFailed."""
    candidates = find_candidates(view_pairs(old, new))
    [found] = await confirm([candidates])
    return Comparison(
        tuple(found),
        tuple(dict.fromkeys((*_not_compared(old, new), *candidates.gaps))),
        tuple(dict.fromkeys((*old.assumptions, *new.assumptions))),
        candidates.classes,
        len(candidates.found),
    )


async def confirm(several: Sequence[Candidates]) -> list[list[Difference]]:
    """Return those that Envoy treats differently."""
    return [[*_differences(each)] for each in await sides_of(several)]


def _differences(sides: Iterable[tuple[Candidate, Side, Side]]) -> Iterator[Difference]:
    for candidate, old, new in sides:
        if old.effect.identity != new.effect.identity:
            texts = tuple(differences(old.effect, new.effect))
            yield Difference(candidate, old, new, texts)


async def sides_of(
    several: Sequence[Candidates],
) -> list[list[tuple[Candidate, Side, Side]]]:
    """Return what happened to each candidate on both sides; one Envoy has the views of all."""
    views: dict[int, View] = {}
    for each in (one for some in several for one in some.found):
        views.update({id(view): view for view in each.pair[1:] if view})
    if not views:
        return [[] for _ in several]
    ordered = [*views.values()]
    hosts = [each.request.host for some in several for each in some.found]
    async with probing(ordered, hosts) as probe:
        witness = _Witness(probe, {key: at for at, key in enumerate(views)})
        await witness.ask(one for some in several for one in some.found)
        return [[(each, *witness.sides(each)) for each in some.found] for some in several]


class _Witness:
    """Sends the candidates to Envoy, those of a view at once."""

    def __init__(self, probe: Probe, places: Mapping[int, int]) -> None:
        self._probe = probe
        self._places = places
        self._sides: dict[tuple[int, Request], Side] = {}

    async def ask(self, candidates: Iterator[Candidate]) -> None:
        """Send all requests, on both sides."""
        wanted: dict[int, tuple[View, dict[Request, Resource | None]]] = {}
        for each in candidates:
            for view, route in ((each.pair.old, each.old), (each.pair.new, each.new)):
                if view:
                    wanted.setdefault(id(view), (view, {}))[1][each.request] = route
        for key, (view, requests) in wanted.items():
            await self._ask(key, view, requests)

    async def _ask(self, key: int, view: View, requests: Mapping[Request, Resource | None]) -> None:
        sent: list[Sent] = []
        spans: list[tuple[Request, Resource | None, int, int]] = []
        for request, route in requests.items():
            draws: tuple[int | None, ...] = draws_of(route) or (None,)
            spans.append((request, route, len(sent), len(sent) + len(draws)))
            sent += [Sent(request, draw=draw) for draw in draws]
        replies = await self._probe.send(self._places[key], sent)
        otherwise: dict[Request, Resource | None] = {}
        for request, route, start, end in spans:
            found = _named(view, request, replies[start])
            if found is not None and found is not route and draws_of(found):
                # Envoy chose another route than the matches told: its weights are other ones.
                otherwise[request] = found
            else:
                self._sides[key, request] = _side(view, request, found, replies[start:end], route)
        if otherwise:
            await self._ask(key, view, otherwise)

    def sides(self, candidate: Candidate) -> tuple[Side, Side]:
        """Return what happened to a candidate."""
        old, new = (
            self._sides[id(view), candidate.request] if view else _NOWHERE
            for view in candidate.pair[1:]
        )
        return old, new


def _side(
    view: View,
    request: Request,
    found: Resource | None,
    replies: Sequence[Reply],
    predicted: Resource | None,
) -> Side:
    # Answers of filters name no route.
    route = found or (predicted if replies[0].status in {401, 403} else None)
    rule = origin_text(view.origins, route) if route else "no rule"
    return Side(effect_of(view, request, route, replies), rule)


_NOWHERE: Final = Side(Effect({"to": "no gateway"}, "no gateway"), "no rule")


def _named(view: View, request: Request, reply: Reply) -> Resource | None:
    """Return the route that Envoy named."""
    host = view.host(request) if reply.route else None
    routes: Sequence[Resource] = host["routes"] if host else ()
    return next((each for each in routes if each.get("name") == reply.route), None)


def _not_compared(old: Mesh, new: Mesh) -> Iterator[str]:
    """Yield the objects that changed and could change requests in ways that are not looked for."""
    before, after = (_opaque(each) for each in (old, new))
    for title in dict.fromkeys((*before, *after)):
        if before.get(title) != after.get(title):
            how = "added" if title not in before else "changed" if title in after else "removed"
            yield f"{title} is {how}, and what it does to requests is not compared"


def _opaque(mesh: Mesh) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{each.title} {each.path}".strip(): each.content for each in mesh.not_modelled
    }
    for document in mesh.documents:
        spec = document.get("spec") or {}
        if document["kind"] in _POLICIES:
            found[title_of(document)] = spec
        elif document["kind"] == "DestinationRule":
            parts = {None: spec, **{each.get("name"): each for each in spec.get("subsets") or ()}}
            # How a pod is reached decides which request fails, not where it goes.
            if policies := {
                name: part["trafficPolicy"]
                for name, part in parts.items()
                if part.get("trafficPolicy")
            }:
                found[f"{title_of(document)} trafficPolicy"] = policies
    return found
