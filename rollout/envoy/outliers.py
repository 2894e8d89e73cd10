"""Pods that fail are left out for a while."""

from __future__ import annotations

from typing import Any

from ..manifests.traffic_policy import OutlierDetection
from .protobuf import duration


def outlier_fields(outliers: OutlierDetection | None) -> dict[str, Any]:
    """Return a cluster's fields, none without a rule.

    With a rule, requests never go to ejected pods for want of others, unless fewer than
    ``minHealthPercent`` are left; and only what the rule counts is counted.
    """
    if outliers is None:
        return {}
    counted = {
        **_counted("consecutive_5xx", outliers.consecutive_5xx_errors),
        **_counted("consecutive_gateway_failure", outliers.consecutive_gateway_errors),
    }
    return {
        "common_lb_config": {"healthy_panic_threshold": {"value": outliers.min_health_percent}},
        "outlier_detection": {
            "enforcing_success_rate": 0,
            **counted,
            **({"interval": duration(outliers.interval)} if outliers.interval else {}),
            **(
                {"base_ejection_time": duration(outliers.base_ejection_time)}
                if outliers.base_ejection_time
                else {}
            ),
            # 0 stands for Envoy's default, as in Istio.
            **(
                {"max_ejection_percent": outliers.max_ejection_percent}
                if outliers.max_ejection_percent
                else {}
            ),
        },
    }


def _counted(what: str, errors: int | None) -> dict[str, int]:
    if errors is None:
        return {}
    return {what: errors, f"enforcing_{what}": 100 if errors else 0}
