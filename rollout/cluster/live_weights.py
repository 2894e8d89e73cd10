"""The weights that routes have now, without a plan: for ``status``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..evidence.counts import Arm
from ..manifests.hosts import ServiceName
from ..plan.releases import Releases
from .api_client import ApiClient, Json, NotFound
from .route_kind import RouteKind
from .route_kinds import ROUTE_KINDS, resource_of

#: The largest difference, in percent, that rounding of weights explains.
_ROUNDING: Final = 0.5


@dataclass(frozen=True, slots=True)
class CanaryWeight:
    """What one rule gives the canary: the path of the weight, and its percentage of the rule.

    ``routes`` names the rule's object if a rollout has several.
    """

    path: str
    percent: float
    routes: str = ""

    @property
    def place(self) -> str:
        return f"{self.routes} {self.path}".lstrip()


async def read_all_weights(
    api: ApiClient, objects: Sequence[Sequence[str]], releases: Releases
) -> tuple[CanaryWeight, ...]:
    """Return the weights of several objects, each a kind and a name. Raise ApiError."""
    found = []
    for kind, name in objects:
        weights = await read_canary_weights(api, name, releases, (ROUTE_KINDS[kind],))
        found += [replace(each, routes=f"{kind} {name}") for each in weights]
    return tuple(found)


async def read_canary_weights(
    api: ApiClient,
    name: str,
    releases: Releases,
    kinds: Iterable[RouteKind] = tuple(ROUTE_KINDS.values()),
) -> tuple[CanaryWeight, ...]:
    """Return the weights of the routes with this name that lead to the releases.

    A name may be that of several kinds of routes. Raise ApiError, or NotFound if there is none.
    """
    found: list[CanaryWeight] | None = None
    missing = NotFound(f"there are no routes {name}")
    for routes in kinds:
        for version in ("v1", "v1beta1"):
            try:
                live = await api.get(resource_of(routes, version), name)
            except NotFound as error:
                missing = error
                continue
            found = list(canary_weights(live, releases, routes))
            break
        if found:
            break
    if found is None:
        raise missing
    return tuple(found)


def canary_weights(live: Json, releases: Releases, routes: RouteKind) -> Iterator[CanaryWeight]:
    """Yield what each rule with destinations of the releases gives the canary."""
    for number, rule in enumerate((live.get("spec") or {}).get(routes.rules) or []):
        entries: list[Mapping[str, Any]] = rule.get(routes.destinations) or []
        arms = [_arm_of(each, releases) for each in entries]
        if not {Arm.STABLE, Arm.CANARY} & set(arms):
            continue
        weights = routes.weights(entries)
        place = arms.index(Arm.CANARY) if Arm.CANARY in arms else 0
        part = weights[place] if Arm.CANARY in arms else 0
        path = f"spec.{routes.rules}[{number}].{routes.destinations}[{place}].weight"
        yield CanaryWeight(path, 100 * part / (sum(weights) or 1))


def describe_drift(weights: list[CanaryWeight], step: str, share: float | None) -> str:
    """Return which weight differs from the step's share, an empty text if none does.

    A rule that leads to one release only may be meant so, unless no rule of its object leads to
    the canary.
    """
    if share is None:
        return ""
    for routes in dict.fromkeys(each.routes for each in weights):
        of_object = [each for each in weights if each.routes == routes]
        for each in [each for each in of_object if each.percent > 0] or of_object[:1]:
            if abs(each.percent - share * 100) > _ROUNDING:
                return (
                    f"{each.place} gives the canary {each.percent:.4g} %, where step {step} gives"
                    f" it {share * 100:.4g} %"
                )
    return ""


def _arm_of(entry: Mapping[str, Any], releases: Releases) -> Arm | None:
    """Return the release of a VirtualService's destination, or of a backend of the Gateway API."""
    if "destination" not in entry:
        namespace = entry.get("namespace") or releases.namespace
        return releases.arm_of(ServiceName(namespace, str(entry.get("name", ""))).host, None)
    destination = entry["destination"] or {}
    return releases.arm_of(str(destination.get("host", "")), destination.get("subset"))
