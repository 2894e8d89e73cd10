"""Services and the pods behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..findings import Severity
from ..inventory import Inventory
from ..rule import Problem, Rule


def selects_nothing(inventory: Inventory) -> Iterator[Problem]:
    for subject, service in inventory.services():
        if (
            service.selector
            and inventory.describes_pods(service.namespace)
            and not inventory.pods(service.namespace, service.selector)
        ):
            said = ", ".join(f"{key}={value}" for key, value in sorted(service.selector.items()))
            yield Problem(
                subject,
                "spec.selector",
                f"no pod of namespace {service.namespace} carries {said}",
                "mend the selector or the pods' labels",
            )


RULES: Final = (
    Rule(
        "selector-without-pods",
        Severity.ERROR,
        "some pod is behind every Service of a namespace whose workloads are given",
        selects_nothing,
    ),
)
