"""Computes the share of requests that each step gives to the canary. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..evidence.counts import Arm
from ..manifests.weighted_rules import Routes, WeightedRule, weighted_rules
from .plan_file import PlanInvalid
from .releases import Releases


def canary_shares(steps: Mapping[str, Routes], releases: Releases) -> tuple[float | None, ...]:
    """Return the canary's share of all requests at each step, 0 to 1.

    Only rules whose destinations differ between steps count. A preview rule, which sends certain
    requests to the canary at every step, does not. The share is None at a step with additional
    rules for the canary: there a header or a cookie of the request selects the release. Raise
    PlanInvalid if the shares make no rollout.
    """
    routes = {name: _by_key(name, service) for name, service in steps.items()}
    common = frozenset.intersection(*(frozenset(each) for each in routes.values()))
    changing = [
        key
        for key in next(iter(routes.values()))
        if key in common and len({_destinations(each[key]) for each in routes.values()}) > 1
    ]
    shares: list[float | None] = []
    for step, rules in routes.items():
        selected_by_header = any(
            _share(rule, releases) for key, rule in rules.items() if key not in common
        )
        found = {_share(rules[key], releases) for key in changing}
        if len(found) > 1:
            names = ", ".join(rules[key].name for key in changing)
            raise PlanInvalid(
                f"{step}: the rules {names} give the canary different shares;"
                " use the same weights in all of them"
            )
        shares.append(None if selected_by_header else found.pop() if found else 0.0)
    _check(tuple(steps), shares)
    return tuple(shares)


def baseline_shares(steps: Mapping[str, Routes], releases: Releases) -> tuple[float, ...]:
    """Return the baseline's share of all requests at each step: the greatest of the rules."""
    return tuple(
        max((_share(rule, releases, Arm.BASELINE) for rule in weighted_rules(routes)), default=0.0)
        for routes in steps.values()
    )


def _check(names: Sequence[str], shares: Sequence[float | None]) -> None:
    if shares[0] != 0:
        raise PlanInvalid(
            f"{names[0]}: the first step is used for a rollback, but it gives requests to the"
            " canary; start with a step that gives it none"
        )
    for name, share in zip(names[1:], shares[1:], strict=True):
        if share == 0:
            raise PlanInvalid(
                f"{name}: the step gives the canary no requests; check that stable and canary name"
                " the subsets or the Services of the releases"
            )
    known = [share for share in shares if share is not None]
    if known != sorted(known):
        raise PlanInvalid("the canary's share decreases from one step to the next; sort the steps")


def _by_key(step: str, routes: Routes) -> dict[str, WeightedRule]:
    rules: dict[str, WeightedRule] = {}
    for rule in weighted_rules(routes):
        if rule.key is None or rule.key in rules:
            raise PlanInvalid(
                f"{step}: {rule.path.rpartition('.')[0]} has no unique name;"
                " name every rule, because the cluster's rules are found by name"
            )
        rules[rule.key] = rule
    return rules


def _destinations(rule: WeightedRule) -> tuple[tuple[str, str | None, float], ...]:
    return tuple(
        (each.host, each.subset, share)
        for each, share in zip(rule.destinations, rule.shares, strict=True)
        if share
    )


def _share(rule: WeightedRule, releases: Releases, arm: Arm = Arm.CANARY) -> float:
    of_arm = (
        share
        for each, share in zip(rule.destinations, rule.shares, strict=True)
        if releases.arm_of(each.host, each.subset) is arm
    )
    return sum(of_arm, 0.0)
