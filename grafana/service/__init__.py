"""The dashboard tallykv / Service: what an installation does, and what limits it.

May import: frame, layout, links, panels, promql.
"""

from __future__ import annotations

from ..frame import build_dashboard
from ..panels import Json
from .saturation import limits_row, redis
from .telemetry import telemetry
from .traffic import operations, overview, routes
from .watches import watches


def build_service() -> Json:
    return build_dashboard(
        "tallykv-service",
        "tallykv / Service",
        "Requests, limits, Redis and operations of the service, and the health of its telemetry.",
        [overview(), routes(), limits_row(), redis(), operations(), watches(), telemetry()],
        since="now-1h",
        refresh="30s",
    )
