"""Whether numbers can be what they say they are, before anything is concluded from them."""

from __future__ import annotations

import math

from .counts import Counts, Window
from .objective import Objective


def check_objective(objective: Objective) -> None:
    """Raise ValueError, which names the field, if nothing can be proven of an objective."""
    for name in ("error_ratio", "false_rollback", "false_promotion"):
        if not 0 < getattr(objective, name) < 1:
            raise ValueError(f"{name}: must lie between 0 and 1, both excluded")
    edges = objective.slow_seconds
    if any(not 0 < edge < math.inf for edge in edges) or len(set(edges)) != len(edges):
        raise ValueError("slow_seconds: must be positive, each another")


def check_window(window: Window, share: float | None, edges: int) -> None:
    """Raise ValueError, which names the field, if a window can't have been seen."""
    if not window.since <= window.until:
        raise ValueError("until: a window ends after it begins")
    if share is not None and not 0 <= share <= 1:
        raise ValueError("share: must lie between 0 and 1")
    check_counts("stable", window.stable, edges)
    check_counts("canary", window.canary, edges)


def check_counts(arm: str, counts: Counts, edges: int) -> None:
    """Raise ValueError, which names the field, for counts that don't fit each other."""
    requests = counts.requests
    if requests < 0:
        raise ValueError(f"{arm}.requests: negative")
    if not 0 <= counts.failures <= requests:
        raise ValueError(f"{arm}.failures: must lie between 0 and the requests")
    if len(counts.slow) != edges:
        raise ValueError(f"{arm}.slow: must have {edges} numbers, one for each latency edge")
    # Not compared with each other: histograms and counters are not read in one instant.
    for slow in counts.slow:
        if not 0 <= slow <= requests:
            raise ValueError(f"{arm}.slow: must lie between 0 and the requests")
