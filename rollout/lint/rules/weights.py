"""Rules for weights and percentages: they must be the shares that they look like. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..context import LintContext
from ..findings import Severity
from ..rule import Problem, Rule


def weights_not_100(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for route in service.spec.http:
            total = sum(each.weight for each in route.route)
            if len(route.route) > 1 and total != 100:
                shares = ", ".join(
                    f"{100 * each.weight / total:.1f} %" for each in route.route if total
                )
                yield Problem(
                    resource,
                    route.json_path("route"),
                    f"the weights sum to {total}, so they are not percentages; the destinations"
                    f" get {shares}",
                    "set weights that sum to 100",
                )


def weight_of_one(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for route in service.spec.http:
            if len(route.route) == 1:
                only = route.route[0]
                if only.is_set("weight") and only.weight != 100:
                    yield Problem(
                        resource,
                        only.json_path("weight"),
                        f"the weight is {only.weight}, but the route's only destination gets all"
                        " requests",
                        "remove the weight, or add the other destination",
                    )


def fault_without_percentage(context: LintContext) -> Iterator[Problem]:
    for resource, service in context.virtual_services():
        for route in service.spec.http:
            for fault in (route.fault.delay, route.fault.abort) if route.fault else ():
                if fault is not None and fault.percentage is None:
                    yield Problem(
                        resource,
                        fault.json_path(),
                        "the fault has no percentage, so Envoy injects it into no request",
                        "add percentage: {value: …}",
                    )


RULES: Final = (
    Rule(
        "weights-not-100",
        Severity.INFO,
        "the weights of a route should sum to 100",
        weights_not_100,
    ),
    Rule(
        "weight-of-one",
        Severity.WARNING,
        "the only destination of a route should have no weight, or 100",
        weight_of_one,
    ),
    Rule(
        "fault-without-percentage",
        Severity.WARNING,
        "a fault should set the percentage of requests that it affects",
        fault_without_percentage,
    ),
)
