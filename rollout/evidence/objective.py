"""What a release must keep to be promoted, and how sure a verdict has to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objective:
    """What a release must keep to be promoted, and how sure the verdict has to be.

    ``error_ratio`` is the largest share of failed requests. ``slow_seconds`` are latency edges at
    which the releases are compared. ``false_rollback`` bounds the chance that a release as good as
    the old one is ever rolled back, ``false_promotion`` that of promoting one which fails
    ``error_ratio`` of its requests or more.
    """

    error_ratio: float = 0.01
    slow_seconds: tuple[float, ...] = (0.025, 0.1, 0.5)
    false_rollback: float = 0.01
    false_promotion: float = 0.05
