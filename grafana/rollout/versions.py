"""The common form of the rollout's graphs: a line for each version."""

from __future__ import annotations

from typing import Final

from ..panels import Json, graph, query, track_colours
from ..promql import REQUESTS

VERSION: Final = ("track", "version")
BY_VERSION: Final = "{{track}} {{version}}"
COUNT: Final = f"{REQUESTS}_count"
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def by_version(
    title: str, why: str, expr: str, *, unit: str, width: int = 6, **more: object
) -> Json:
    """Return a graph with a line for each version, in its track's colour."""
    shown: Json = {"overrides": track_colours(), **more}
    return graph(title, why, query(expr, BY_VERSION), unit=unit, width=width, **shown)
