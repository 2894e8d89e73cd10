"""The service level objective of a release, and the error probabilities of the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objective:
    """What a release must achieve to be promoted, and how certain the verdict must be.

    ``error_ratio``: the largest allowed ratio of failed requests. ``slow_seconds``: latency
    thresholds; at each, the ratio of slower requests is compared between the releases.
    ``false_rollback``: the largest probability of ever rolling back a release that is as good as
    the old one. ``false_promotion``: the largest probability of promoting a release that fails
    ``error_ratio`` of its requests or more.
    """

    error_ratio: float = 0.01
    slow_seconds: tuple[float, ...] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
    false_rollback: float = 0.01
    false_promotion: float = 0.05


def check_objective(objective: Objective) -> None:
    """Raise ValueError, which names the field, if no test can work with these numbers."""
    for name in ("error_ratio", "false_rollback", "false_promotion"):
        if not 0 < getattr(objective, name) < 1:
            raise ValueError(f"{name}: must lie between 0 and 1, both excluded")
    edges = objective.slow_seconds
    if any(not 0 < edge < math.inf for edge in edges) or len(set(edges)) != len(edges):
        raise ValueError("slow_seconds: must be positive and different from each other")
