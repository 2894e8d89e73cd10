"""A DestinationRule's outlier detection, which ejects failing pods for some time."""

from __future__ import annotations

from typing import Any

from ..manifests.traffic_policy import OutlierDetection
from .protobuf_json import duration


def outlier_detection_fields(outliers: OutlierDetection) -> dict[str, Any]:
    """Return Envoy's OutlierDetection. It counts only the kinds of errors that the rule names."""
    return {
        "enforcing_success_rate": 0,
        **_consecutive("consecutive_5xx", outliers.consecutive_5xx_errors),
        **_consecutive("consecutive_gateway_failure", outliers.consecutive_gateway_errors),
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
        **(_local_origin(outliers) if outliers.split_external_local_origin_errors else {}),
    }


def _local_origin(outliers: OutlierDetection) -> dict[str, Any]:
    failures = outliers.consecutive_local_origin_failures
    return {
        "split_external_local_origin_errors": True,
        **(_consecutive("consecutive_local_origin_failure", failures) if failures else {}),
        "enforcing_local_origin_success_rate": 0,
    }


def _consecutive(name: str, errors: int | None) -> dict[str, int]:
    if errors is None:
        return {}
    return {name: errors, f"enforcing_{name}": 100 if errors else 0}
