"""Which share of the requests each step gives to the canary: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..manifests.http_route import HttpRoute
from ..manifests.virtual_service import VirtualService
from .plan_file import PlanInvalid


def shares_of(
    steps: Mapping[str, VirtualService], *, stable: str, canary: str
) -> tuple[float | None, ...]:
    """Return the canary's share of all requests at each step, 0 to 1.

    Only rules whose destinations change between the steps count; a preview, which always leads to
    the canary, is asked for. None stands for a step in which further rules lead to the canary:
    then the requests themselves say who gets them, by a header or a cookie.
    """
    routes = {name: _by_name(name, service) for name, service in steps.items()}
    common = frozenset.intersection(*(frozenset(each) for each in routes.values()))
    driven = [
        name
        for name in next(iter(routes.values()))
        if name in common and len({_destinations(each[name]) for each in routes.values()}) > 1
    ]
    shares: list[float | None] = []
    for step, rules in routes.items():
        asked = any(
            _share(rule, stable, canary) for name, rule in rules.items() if name not in common
        )
        given = {_share(rules[name], stable, canary) for name in driven}
        if len(given) > 1:
            raise PlanInvalid(
                f"{step}: the rules {', '.join(driven)} give the canary different shares;"
                " give it the same in all of them"
            )
        shares.append(None if asked else given.pop() if given else 0.0)
    _check(tuple(steps), shares)
    return tuple(shares)


def _check(names: Sequence[str], shares: Sequence[float | None]) -> None:
    if shares[0] != 0:
        raise PlanInvalid(
            f"{names[0]}: the first step is the way back, and it gives requests to the canary;"
            " begin with a step that gives it none"
        )
    for name, share in zip(names[1:], shares[1:], strict=True):
        if share == 0:
            raise PlanInvalid(
                f"{name}: the step gives the canary nothing; are stable and canary the names of"
                " the subsets?"
            )
    given = [share for share in shares if share is not None]
    if given != sorted(given):
        raise PlanInvalid("the canary's share falls from one step to the next; order the steps")


def _by_name(step: str, service: VirtualService) -> dict[str, HttpRoute]:
    rules: dict[str, HttpRoute] = {}
    for index, rule in enumerate(service.spec.http):
        if rule.name is None or rule.name in rules:
            raise PlanInvalid(
                f"{step}: {service.spec.json_path('http', index)} has no name of its own;"
                " name every rule: that is how it is found in the cluster"
            )
        rules[rule.name] = rule
    return rules


def _destinations(rule: HttpRoute) -> tuple[tuple[str, str | None, int], ...]:
    return tuple(
        (each.destination.host, each.destination.subset, each.weight)
        for each in rule.active_destinations
    )


def _share(rule: HttpRoute, stable: str, canary: str) -> float:
    if len(rule.route) == 1:
        return float(rule.route[0].destination.subset == canary)
    weights = {stable: 0, canary: 0}
    for each in rule.route:
        subset = each.destination.subset or ""
        weights[subset] = weights.get(subset, 0) + each.weight
    total = sum(weights.values())
    return weights[canary] / total if total else 0.0
