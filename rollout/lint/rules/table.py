"""The table of all rules, in the order in which they are listed."""

from __future__ import annotations

from typing import Final

from ..rule import Rule
from . import (
    allowing,
    copies_and_faults,
    gateways,
    hosts,
    matching,
    outliers,
    owners,
    ports,
    reading,
    retries,
    steps,
    subsets,
    weights,
    workloads,
)

RULES: Final[tuple[Rule, ...]] = (
    *reading.RULES,
    *hosts.RULES,
    *ports.RULES,
    *subsets.RULES,
    *weights.RULES,
    *matching.RULES,
    *retries.RULES,
    *copies_and_faults.RULES,
    *outliers.RULES,
    *gateways.RULES,
    *owners.RULES,
    *workloads.RULES,
    *steps.RULES,
    *allowing.RULES,
)
BY_ID: Final = {rule.id: rule for rule in RULES}
