"""Derives a rollout from manifests without steps: sets weights where a route leads to both."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..evidence.counts import BOTH, Arm
from ..lint.argo_rollout import edited_routes, rollouts
from ..lint.flagger_canary import flagger_canaries
from ..lint.linter import Bundle, lint
from ..lint.resource import Resource, ResourceId
from ..lint.resource_parser import ResourceParser
from ..lint.schemas import Schemas
from ..lint.sources import collect
from ..manifests.destination_rule import DestinationRule
from ..manifests.kubernetes import Service
from ..manifests.parsing import parse_manifest
from ..manifests.service_entry import ServiceEntry
from ..manifests.weighted_rules import Routes, WeightedRule, weighted_rules
from .argo_release import argo_release
from .controlled_release import applied, needed
from .flagger_release import flagger_release
from .loading import LoadedPlan, plan_of, refuse_errors, resources_of
from .model import Step
from .plan_file import NAME, PlanFile, PlanInvalid
from .releases import Releases

#: The canary's percentage at each step.
PERCENTAGES: Final = (0, 1, 5, 10, 25, 50, 100)
#: Kinds that lead requests to a release as well, and why a rehearsal of them can't answer.
_CONTROLLER: Final = "its controller, which sets the weights and runs the pods, does not run here"
_NOT_MODELLED: Final = {
    ("argoproj.io", "Rollout"): _CONTROLLER,
    ("flagger.app", "Canary"): _CONTROLLER,
}


def has_plan_layout(path: str) -> bool:
    """Return True for a plan file, and for a directory with one or with steps."""
    file = Path(path)
    return not file.is_dir() or (file / NAME).exists() or (file / "steps").is_dir()


def load_derived_plan(
    path: str,
    *,
    stable: str,
    canary: str,
    route: str | None = None,
    prerequisites: Sequence[str] = (),
    namespace: str = "default",
) -> LoadedPlan:
    """Load the manifests of a directory, and derive the steps of a rollout from them.

    ``stable`` and ``canary`` are subsets or Services. ``route`` is the ``NAME`` or
    ``NAMESPACE/NAME`` of a VirtualService, HTTPRoute or GRPCRoute, perhaps after ``KIND/``; without
    it, one of them must have a route to both. Raise PlanInvalid or CouldNotRun.
    """
    bundles, known = collect([path]), collect(prerequisites)
    parser = ResourceParser(Schemas(None), namespace)
    refuse_errors(lint(bundles, parser, existing=known))
    resources = _applied(parser, bundles, known)
    names = releases_in(resources)
    for name in (stable, canary):
        if name not in names:
            raise PlanInvalid(
                f"no subset and no Service is called {name}; the manifests have"
                f" {', '.join(sorted(names)) or 'none'}"
            )
    if stable == canary:
        raise PlanInvalid(f"--stable and --canary are both {stable}; name two releases")
    chosen = _choose(resources, stable, canary, route)
    _refuse_controllers(resources, chosen)
    return _planned(path, chosen, resources, Releases(stable, canary, chosen.namespace))


def load_controlled_plan(
    path: str, *, prerequisites: Sequence[str] = (), namespace: str = "default"
) -> LoadedPlan | None:
    """Derive the steps of a rollout from the only Rollout or Canary of a directory.

    Return None if it has none of them; raise PlanInvalid or CouldNotRun.
    """
    bundles, known = collect([path]), collect(prerequisites)
    parser = ResourceParser(Schemas(None), namespace)
    resources = _applied(parser, bundles, known)
    canaries = list(flagger_canaries(resources))
    owners = [*rollouts(resources), *(each.resource for each in canaries)]
    if not owners:
        return None
    refuse_errors(lint(bundles, parser, existing=known))
    if len(owners) > 1:
        raise PlanInvalid(
            f"{', '.join(map(_title, owners))}: a rehearsal runs one of them; name the directory of"
            " one"
        )
    release = (
        flagger_release(canaries[0], resources) if canaries else argo_release(owners[0], resources)
    )
    cluster = applied(release, resources, parser)
    kind, route_namespace, name = release.routes
    chosen = needed(cluster, release.owner, kind, name, route_namespace)
    loaded = _planned(
        path,
        chosen,
        cluster,
        Releases(release.stable, release.canary, chosen.namespace),
        release.percentages,
        release.rules,
    )
    title = _title(release.owner)
    return replace(loaded, warnings=tuple(f"{title}: {each}" for each in release.notes))


def _planned(
    path: str,
    chosen: Resource,
    resources: Sequence[Resource],
    releases: Releases,
    percentages: Sequence[int] = PERCENTAGES,
    rules: frozenset[str] = frozenset(),
) -> LoadedPlan:
    steps = tuple(_step(chosen, percent, releases, rules) for percent in percentages)
    spec = PlanFile(stable=releases.stable, canary=releases.canary)
    plan = plan_of(Path(path).resolve().name, spec, steps)
    return LoadedPlan(plan, tuple(each for each in resources if each is not chosen))


def releases_in(resources: Iterable[Resource]) -> frozenset[str]:
    """Return the names of all subsets and Services, and the hosts of ServiceEntries."""
    return frozenset(name for each in resources for name in _releases_of(each))


def _releases_of(resource: Resource) -> Iterator[str]:
    match resource.istio_object:
        case DestinationRule() as rule:
            yield from (subset.name for subset in rule.spec.subsets)
        case ServiceEntry() as entry:
            yield from entry.spec.hosts
    if isinstance(resource.kubernetes_object, Service):
        yield resource.name


def _applied(
    parser: ResourceParser, bundles: Sequence[Bundle], known: Sequence[Bundle]
) -> tuple[Resource, ...]:
    """Return the objects in the cluster; raise PlanInvalid if kustomizations have one in common."""
    owners: dict[ResourceId, Bundle] = {}
    found: dict[ResourceId, Resource] = {}
    for bundle in (*known, *bundles):
        for each in resources_of(parser, bundle):
            other = owners.setdefault(each.id, bundle)
            if other is not bundle and bundle in bundles and other in bundles:
                raise PlanInvalid(
                    f"{each.kind} {each.namespace}/{each.name} is in {other.directory} and in"
                    f" {bundle.directory}; name the directory that is applied"
                )
            owners[each.id] = bundle
            found[each.id] = each
    return tuple(found.values())


def _choose(resources: Iterable[Resource], stable: str, canary: str, name: str | None) -> Resource:
    """Return the object to change."""
    found = []
    for each in resources:
        routes = each.istio_object
        if isinstance(routes, Routes):
            releases = Releases(stable, canary, routes.namespace)
            if any(_leads_to_both(rule, releases) for rule in weighted_rules(routes)):
                found.append(each)
    wanted = [each for each in found if name is None or name in _names(each)]
    if len(wanted) == 1:
        return wanted[0]
    named = ", ".join(_title(each) for each in wanted or found)
    if wanted:
        raise PlanInvalid(
            f"several objects have a route to both {stable} and {canary}: {named}; choose one with"
            " --route"
        )
    which = (
        f"{name} has no" if name and found else "no VirtualService, HTTPRoute or GRPCRoute has a"
    )
    raise PlanInvalid(
        f"{which} route to both {stable} and {canary}"
        + (f"; these have: {named}" if found else "; add the canary to a route, with weight 0")
        + "".join(f"\n{each}" for each in _other_routes(resources))
    )


def _title(resource: Resource) -> str:
    return f"{resource.kind} {resource.namespace}/{resource.name}"


def _names(resource: Resource) -> frozenset[str]:
    """Return the texts that name an object."""
    names = {resource.name, f"{resource.namespace}/{resource.name}"}
    return frozenset({*names, *(f"{resource.kind}/{each}" for each in names)})


def _other_routes(resources: Iterable[Resource]) -> Iterator[str]:
    """Yield a line for each object that makes or is routes which nothing here translates."""
    for each in resources:
        if why := _NOT_MODELLED.get((each.id.group, each.kind)):
            yield f"{each.kind} {each.namespace}/{each.name} is not modelled: {why}"


def _refuse_controllers(resources: Sequence[Resource], chosen: Resource) -> None:
    """Raise PlanInvalid if another controller sets the VirtualService's weights and its pods."""
    owners = [
        each.resource
        for each in edited_routes(resources)
        if (each.namespace, each.virtual_service) == (chosen.namespace, chosen.name)
    ]
    owners += [
        each.resource
        for each in flagger_canaries(resources)
        if (each.resource.namespace, each.name) == (chosen.namespace, chosen.name)
    ]
    for each in owners:
        raise PlanInvalid(
            f"{each.kind} {each.namespace}/{each.name} sets the weights of VirtualService"
            f" {chosen.namespace}/{chosen.name} and is not modelled:"
            f" {_NOT_MODELLED[each.id.group, each.kind]}"
        )


def _leads_to_both(rule: WeightedRule, releases: Releases) -> bool:
    arms = _arms(rule, releases)
    if not set(BOTH) <= set(arms):
        return False
    others = None in arms
    return not others or any(
        each.weight for each, arm in zip(rule.destinations, arms, strict=True) if arm
    )


def _arms(rule: WeightedRule, releases: Releases) -> list[Arm | None]:
    return [releases.arm_of(each.host, each.subset) for each in rule.destinations]


def _written_rules(document: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Yield the destinations of each rule as they are written."""
    spec = document["spec"]
    for rule in spec["http"] if "http" in spec else spec.get("rules", []):
        yield rule.get("route") or rule.get("backendRefs") or []


def _step(
    resource: Resource, percent: int, releases: Releases, names: frozenset[str] = frozenset()
) -> Step:
    """Return the routes with the canary's percentage of what the two releases get.

    ``names`` are those of the rules that change, empty for all.
    """
    assert isinstance(resource.istio_object, Routes)  # noqa: S101 - chosen as one
    document: dict[str, Any] = copy.deepcopy(dict(resource.document))
    rules = weighted_rules(resource.istio_object)
    for written, rule in zip(_written_rules(document), rules, strict=True):
        if not _leads_to_both(rule, releases) or (names and rule.name not in names):
            continue
        arms = _arms(rule, releases)
        if any(arms.count(arm) > 1 for arm in BOTH):
            raise PlanInvalid(
                f"{_title(resource)}: {rule.path} has a release twice; leave one destination of"
                " each"
            )
        shares = {Arm.STABLE: 100 - percent, Arm.CANARY: percent}
        weights = [each.weight for each in rule.destinations]
        both = sum(weight for weight, arm in zip(weights, arms, strict=True) if arm)
        for destination, weight, arm in zip(written, weights, arms, strict=True):
            # In hundredths, so that other destinations keep their part of the requests.
            destination["weight"] = (
                weight * 100 if arm is None else (both if len(arms) > 2 else 1) * shares[arm]
            )
    return Step(str(percent), percent / 100, _read(document, resource), document)


def _read(document: Mapping[str, Any], resource: Resource) -> Routes:
    manifest = parse_manifest(document, resource.namespace).manifest
    if not isinstance(manifest, Routes):
        raise PlanInvalid(f"{_title(resource)} can't be changed: its weights become too large")
    return manifest
