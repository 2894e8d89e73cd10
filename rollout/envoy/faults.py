"""Faults on purpose, as the settings of Envoy's fault filter."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.faults import GRPC_STATUSES, Abort, Delay, Fault
from ..manifests.field_types import Percent
from .protobuf import duration, share, typed

FILTER: Final = "envoy.filters.http.fault"
MESSAGE: Final = "envoy.extensions.filters.http.fault.v3.HTTPFault"


def fault_filter(fault: Fault) -> dict[str, Any]:
    """Return a route's settings; a fault without a percentage meets no request, as in Istio."""
    return typed(
        MESSAGE,
        **({"delay": _delay(fault.delay)} if fault.delay else {}),
        **({"abort": _abort(fault.abort)} if fault.abort else {}),
    )


def _delay(delay: Delay) -> dict[str, Any]:
    return {"fixed_delay": duration(delay.fixed_delay), "percentage": _percentage(delay.percentage)}


def _abort(abort: Abort) -> dict[str, Any]:
    status = (
        {"http_status": abort.http_status}
        if abort.grpc_status is None
        else {"grpc_status": GRPC_STATUSES.index(abort.grpc_status)}
    )
    return {**status, "percentage": _percentage(abort.percentage)}


def _percentage(percentage: Percent | None) -> dict[str, Any]:
    return share(0.0 if percentage is None else percentage.value)
