"""Envoy's HTTP filters: CORS and fault injection with settings per route, then the router."""

from __future__ import annotations

from typing import Any, Final

from ..manifests.cors import CorsPolicy
from ..manifests.faults import GRPC_STATUSES, Abort, Delay, Fault
from ..manifests.field_types import Percent
from ..manifests.http_route import HttpRoute
from .protobuf_json import (
    duration,
    extension,
    fractional_percent,
    string_match,
    typed,
    whole_seconds,
)

_FAULT: Final = "envoy.filters.http.fault"
_FAULT_MESSAGE: Final = "envoy.extensions.filters.http.fault.v3.HTTPFault"
_CORS: Final = "envoy.filters.http.cors"
_CORS_MESSAGE: Final = "envoy.extensions.filters.http.cors.v3.Cors"
_CORS_POLICY_MESSAGE: Final = "envoy.extensions.filters.http.cors.v3.CorsPolicy"
_ROUTER: Final = "envoy.filters.http.router"
_ROUTER_MESSAGE: Final = "envoy.extensions.filters.http.router.v3.Router"


def http_filters() -> list[dict[str, Any]]:
    """Return the filters of a listener, in istiod's order."""
    return [
        extension(_FAULT, _FAULT_MESSAGE),
        extension(_CORS, _CORS_MESSAGE),
        extension(_ROUTER, _ROUTER_MESSAGE),
    ]


def per_route_config(route: HttpRoute) -> dict[str, Any]:
    """Return a route's settings of the filters, by filter; empty if it has none."""
    return {
        **({_FAULT: fault_config(route.fault)} if route.fault else {}),
        **({_CORS: cors_config(route.cors_policy)} if route.cors_policy else {}),
    }


def fault_config(fault: Fault) -> dict[str, Any]:
    """Return the settings of the fault filter; without a percentage, as in Istio, it is 0 %."""
    return typed(
        _FAULT_MESSAGE,
        **(_delay(fault.delay) if fault.delay else {}),
        **(_abort(fault.abort) if fault.abort else {}),
    )


def cors_config(policy: CorsPolicy) -> dict[str, Any]:
    """Return the settings of the CORS filter.

    Preflight requests of other origins are forwarded to the pods, unless ``unmatchedPreflights`` is
    ``IGNORE``.
    """
    lists = {
        "allow_methods": policy.allow_methods,
        "allow_headers": policy.allow_headers,
        "expose_headers": policy.expose_headers,
    }
    return typed(
        _CORS_POLICY_MESSAGE,
        filter_enabled={"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        forward_not_matching_preflights=policy.unmatched_preflights != "IGNORE",
        allow_origin_string_match=[string_match(each) for each in policy.allow_origins],
        **{name: ",".join(values) for name, values in lists.items() if values},
        **({"max_age": str(whole_seconds(policy.max_age))} if policy.max_age else {}),
        **(
            {}
            if policy.allow_credentials is None
            else {"allow_credentials": policy.allow_credentials}
        ),
    )


def _delay(delay: Delay) -> dict[str, Any]:
    if delay.fixed_delay is None:
        return {}
    fixed = duration(delay.fixed_delay)
    percentage = delay.percentage
    if percentage is None and delay.percent:
        percentage = Percent(value=float(delay.percent))
    return {"delay": {"fixed_delay": fixed, "percentage": _percentage(percentage)}}


def _abort(abort: Abort) -> dict[str, Any]:
    if abort.http_status is None and abort.grpc_status is None:
        return {}
    status = (
        {"http_status": abort.http_status}
        if abort.grpc_status is None
        else {"grpc_status": GRPC_STATUSES.index(abort.grpc_status)}
    )
    return {"abort": {**status, "percentage": _percentage(abort.percentage)}}


def _percentage(percentage: Percent | None) -> dict[str, Any]:
    return fractional_percent(0.0 if percentage is None else percentage.value)
