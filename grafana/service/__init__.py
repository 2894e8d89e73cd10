"""tallykv / Service: what one installation does, and where it hurts."""

from __future__ import annotations

from ..frame import build_dashboard
from ..panels import Json
from .inside import limits_near, redis
from .telemetry import trusted
from .traffic import answering, asked, routes


def build_service() -> Json:
    return build_dashboard(
        "tallykv-service",
        "tallykv / Service",
        "Requests, limits, Redis and operations of the service, and the health of its telemetry.",
        [answering(), routes(), limits_near(), redis(), asked(), trusted()],
        since="now-1h",
        refresh="30s",
    )
