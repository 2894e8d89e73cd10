"""The dashboard tallykv / Rollout: whether the new version may get more traffic.

May import: frame, layout, links, panels, promql.
"""

from __future__ import annotations

from ..frame import annotation, build_dashboard
from ..panels import Json
from ..promql import over, select
from .errors import budget, mesh
from .resources import cost, pods, redis
from .traffic import ALERTS, split, verdict, versions
from .versions import BY_VERSION, VERSION


def build_rollout() -> Json:
    return build_dashboard(
        "tallykv-rollout",
        "tallykv / Rollout",
        "Stable and canary side by side: traffic, errors, latency, budget, cost and pods.",
        [verdict(), split(), versions(), budget(), mesh(), cost(), redis(), pods()],
        since="now-30m",
        refresh="10s",
        annotations=[
            annotation(
                "Releases",
                f"{over('min', select('process_start_time_seconds'), *VERSION)} * 1000",
                colour="blue",
                title=f"{BY_VERSION} started",
                text="start of the oldest pod that still runs",
                tagKeys="track,version",
                useValueForTime=True,
            ),
            annotation(
                "Alerts",
                over("max", ALERTS, "alertname", "severity"),
                colour="red",
                title="{{alertname}}",
                text="firing, severity {{severity}}",
                tagKeys="severity",
            ),
        ],
    )
