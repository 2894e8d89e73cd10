"""Writes assertions from what a mesh does now: one for each class of requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from ..envoy.configuration import Resource
from ..routing.candidates import host_bases
from ..routing.destinations import Target, unambiguous
from ..routing.effects import Effect, draws_of, effect_of
from ..routing.explanation import origin_text
from ..routing.replies import Reply
from ..routing.request_classes import pair_classes
from ..routing.requests import Caller, Request
from ..routing.view import View
from .callers import recorded_callers
from .mesh import Mesh
from .probe import Probe, Sent, probing

_FAULT: Final = "envoy.filters.http.fault"
_FAILING: Final = 503
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Recording:
    """Assertions as they are written to a file; ``gaps`` are what they leave out."""

    tests: tuple[Mapping[str, Any], ...]
    gaps: tuple[str, ...]

    def render(self, head: Mapping[str, Any]) -> str:
        """Return the text of a file of assertions; ``head`` names its manifests."""
        said = "".join(f"# Not recorded: {each}\n" for each in self.gaps)
        written = yaml.safe_dump(
            {**head, "tests": [*self.tests]},
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
            width=100,
        )
        return said + str(written)


@dataclass(frozen=True, slots=True)
class _Case:
    caller: Caller
    view: View
    request: Request
    route: Resource | None


async def record(mesh: Mesh) -> Recording:
    """Ask a real Envoy; raise a kind of RehearsalFailed."""
    gaps: dict[str, None] = {str(each): None for each in mesh.not_modelled}
    cases = [*_cases(mesh, gaps)]
    views: dict[int, View] = {id(each.view): each.view for each in cases}
    places = {key: at for at, key in enumerate(views)}
    async with probing([*views.values()], [each.request.host for each in cases]) as probe:
        tests = [await _test(probe, places[id(each.view)], each) for each in cases]
    gaps.update(dict.fromkeys(_left_out(mesh, cases)))
    return Recording(tuple(tests), tuple(gaps))


def _cases(mesh: Mesh, gaps: dict[str, None]) -> Iterator[_Case]:
    known: set[tuple[Any, ...]] = set()
    for caller, proxy in recorded_callers(mesh):
        view = mesh.view(proxy)
        for base, host, text in host_bases(view):
            routes = list(host["routes"])
            # Rules of two objects are two, even if they do the same.
            rules = tuple(each.get("name") for each in routes)
            key = (caller.is_inside, base.authority, text, rules)
            if key in known or not any(view.origins.find(each.get("name", "")) for each in routes):
                continue
            known.add(key)
            pairs = pair_classes(routes, (), base, tls=view.is_encrypted(base))
            gaps.update({f"{base.authority}: {each}": None for each in pairs.gaps})
            for each in routes:
                if each["match"].get("dynamic_metadata"):
                    gaps[f"{origin_text(view.origins, each)}: it is by claims of a token"] = None
            for found in sorted(pairs.classes, key=lambda it: (it.old is None, it.old or 0)):
                route = None if found.old is None else routes[found.old]
                yield _Case(caller, view, found.witnesses[0], route)


def _left_out(mesh: Mesh, cases: Sequence[_Case]) -> Iterator[str]:
    """Yield what no recorded request reaches, and why."""
    find = mesh.origins.find
    reached = {one for each in cases if each.route for one in find(each.route.get("name", ""))[:1]}
    left = [each for each in mesh.origins.all if each not in reached]
    if not left:
        return
    views = [mesh.view(proxy) for _, proxy in recorded_callers(mesh)]
    routes = (each for view in views for _, host, _ in host_bases(view) for each in host["routes"])
    programmed = {one.object for each in routes for one in find(each.get("name", ""))}
    for each in left:
        if each.object in programmed:
            yield f"{each}: no request was found that reaches it"
        else:
            yield f"{each.object}: no proxy here has its rules"


async def _test(probe: Probe, at: int, case: _Case) -> dict[str, Any]:
    draws: Sequence[int | None] = draws_of(case.route) or (None,)
    sent = [Sent(case.request, draw=each) for each in draws]
    replies = await probe.send(at, [*sent, Sent(case.request, answer=_FAILING)])
    failed = replies.pop()
    effect = effect_of(case.view, case.request, case.route, replies)
    return {
        **({"name": origin_text(case.view.origins, case.route)} if case.route else {}),
        "request": case.request.url,
        **({"from": _from(case.caller)} if case.caller.is_inside or case.caller.gateway else {}),
        **({"headers": dict(case.request.headers)} if case.request.headers else {}),
        **_expected(case, replies[0], effect, failed),
    }


def _expected(case: _Case, reply: Reply, effect: Effect, failed: Reply) -> dict[str, Any]:
    aborted = _aborted(case.route)
    if aborted:
        return {"status": aborted}
    if reply.seen is None:
        location = reply.headers.get("location")
        headers = {"response": {"headers": {"location": location}}} if location else {}
        return {"status": reply.status, **headers}
    names = {
        unambiguous(each, _targets(case.view)): _number(share)
        for each, share in effect.destinations
    }
    pod = {name: effect.facts[name] for name in ("path", "host") if name in effect.facts}
    action = (case.route or {}).get("route", {})
    tried = action.get("retry_policy", {}).get("per_try_timeout", "0s")
    mirrors = {
        unambiguous(case.view.target(each["cluster"]), _targets(case.view)): _percent(each)
        for each in action.get("request_mirror_policies", ())
        if case.view.has_cluster(each["cluster"])
    }
    return {
        "to": next(iter(names)) if len(names) == 1 else names,
        **({"pod": pod} if pod else {}),
        **({"timeout": action["timeout"]} if action.get("timeout", "0s") != "0s" else {}),
        **({"tryTimeout": tried} if tried != "0s" else {}),
        "retries": failed.attempts - 1,
        **({"mirror": mirrors} if mirrors else {}),
    }


def _targets(view: View) -> list[Target]:
    return [view.target(each) for each in view.pods]


def _percent(policy: Resource) -> float:
    return _number(int(policy["runtime_fraction"]["default_value"]["numerator"]) / 10_000)


def _number(percent: float) -> float:
    """Return a whole number as such."""
    rounded = round(percent, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def _aborted(route: Resource | None) -> dict[str, float]:
    """Return the share of each status of a route that aborts some requests."""
    fault = (route or {}).get("typed_per_filter_config", {}).get(_FAULT, {})
    abort = fault.get("abort", {})
    millionths = int(abort.get("percentage", {}).get("numerator", 0))
    if not millionths or millionths >= _MILLION or "http_status" not in abort:
        return {}
    return {str(abort["http_status"]): _number(millionths / 10_000)}


def _from(caller: Caller) -> Any:
    if caller.gateway:
        return {"gateway": caller.gateway}
    if caller.labels:
        return {"namespace": caller.namespace, "labels": dict(caller.labels)}
    return str(caller)
