"""Weights: that they say what they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..findings import Severity
from ..inventory import Inventory
from ..rule import Problem, Rule


def not_100(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for route in service.spec.http:
            total = sum(each.weight for each in route.route)
            if len(route.route) > 1 and total != 100:
                shares = ", ".join(
                    f"{100 * each.weight / total:.1f} %" for each in route.route if total
                )
                yield Problem(
                    subject,
                    route.at("route"),
                    f"the weights sum to {total}: they are proportions, {shares}",
                    "let them sum to 100, so that they read as percent",
                )


def of_one(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.virtual_services():
        for route in service.spec.http:
            if len(route.route) == 1:
                only = route.route[0]
                if only.wrote("weight") and only.weight != 100:
                    yield Problem(
                        subject,
                        only.at("weight"),
                        f"a single destination gets every request, not {only.weight} %",
                        "leave the weight out, or add the other destination",
                    )


RULES: Final = (
    Rule("weights-not-100", Severity.INFO, "weights sum to 100", not_100),
    Rule(
        "weight-of-one",
        Severity.WARNING,
        "a single destination has no weight but 100",
        of_one,
    ),
)
