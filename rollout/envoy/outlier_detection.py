"""A DestinationRule's outlier detection, which ejects failing pods for some time."""

from __future__ import annotations

from typing import Any

from ..manifests.traffic_policy import OutlierDetection
from .protobuf_json import duration


def outlier_detection_fields(outliers: OutlierDetection | None) -> dict[str, Any]:
    """Return the fields of a cluster, none without outlier detection.

    Envoy counts only the kinds of errors that the rule names. It sends requests to ejected pods
    only if fewer than ``minHealthPercent`` of all pods are left.
    """
    if outliers is None:
        return {}
    consecutive = {
        **_consecutive("consecutive_5xx", outliers.consecutive_5xx_errors),
        **_consecutive("consecutive_gateway_failure", outliers.consecutive_gateway_errors),
    }
    return {
        "common_lb_config": {"healthy_panic_threshold": {"value": outliers.min_health_percent}},
        "outlier_detection": {
            "enforcing_success_rate": 0,
            **consecutive,
            **({"interval": duration(outliers.interval)} if outliers.interval else {}),
            **(
                {"base_ejection_time": duration(outliers.base_ejection_time)}
                if outliers.base_ejection_time
                else {}
            ),
            # As in Istio, 0 means Envoy's default.
            **(
                {"max_ejection_percent": outliers.max_ejection_percent}
                if outliers.max_ejection_percent
                else {}
            ),
        },
    }


def _consecutive(name: str, errors: int | None) -> dict[str, int]:
    if errors is None:
        return {}
    return {name: errors, f"enforcing_{name}": 100 if errors else 0}
