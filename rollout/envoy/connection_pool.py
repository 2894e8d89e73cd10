"""A DestinationRule's connection pool: limits, timeouts, keepalive and the HTTP version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from ..manifests.traffic_policy import (
    ConnectionPool,
    HttpPool,
    RetryBudget,
    TcpKeepalive,
    TcpPool,
)
from .protobuf_json import UINT32_MAX, duration, typed, whole_seconds
from .protocol_selection import Protocol

HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
#: Istio's default.
_CONNECT_TIMEOUT: Final = timedelta(seconds=10)
#: Istio's defaults of a retry budget. The percentage is 0.2 %, not 20 %.
_BUDGET_PERCENT: Final = 0.2
_BUDGET_RETRIES: Final = 3


def connection_pool_fields(
    pool: ConnectionPool | None, budget: RetryBudget | None = None
) -> dict[str, Any]:
    """Return the fields of a cluster; a limit that is missing or 0 means no limit."""
    tcp = (pool and pool.tcp) or TcpPool()
    http = (pool and pool.http) or HttpPool()
    return {
        "connect_timeout": duration(tcp.connect_timeout or _CONNECT_TIMEOUT),
        "circuit_breakers": {"thresholds": [_thresholds(tcp, http, budget)]},
        **(
            {"upstream_connection_options": {"tcp_keepalive": _keepalive(tcp.tcp_keepalive)}}
            if tcp.tcp_keepalive
            else {}
        ),
    }


def http_options(
    pool: ConnectionPool | None,
    protocol: Protocol,
    *,
    detects: bool,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the extension options of a cluster, empty for HTTP/1.1 without settings.

    ``detects`` is True for callers that forward with the protocol that they detected; gateways do
    not detect. ``more`` are further fields of the options.
    """
    tcp = (pool and pool.tcp) or TcpPool()
    http = (pool and pool.http) or HttpPool()
    common = _common_options(tcp, http)
    upgrade = http.h2_upgrade_policy == "UPGRADE"
    both = http.use_client_protocol or (detects and protocol is Protocol.DETECTED and not upgrade)
    http2 = protocol is Protocol.HTTP2 or upgrade
    if not (common or both or http2 or more or http.max_concurrent_streams):
        return {}
    explicit = {"http2_protocol_options": _http2_options(http)} if http2 else {}
    versions = (
        {
            "use_downstream_protocol_config": {
                "http_protocol_options": {},
                "http2_protocol_options": {},
            }
        }
        if both
        else {"explicit_http_config": explicit or {"http_protocol_options": {}}}
    )
    options = typed(
        HTTP_OPTIONS,
        **versions,
        **({"common_http_protocol_options": common} if common else {}),
        **more,
    )
    return {"typed_extension_protocol_options": {HTTP_OPTIONS: options}}


def _thresholds(tcp: TcpPool, http: HttpPool, budget: RetryBudget | None) -> dict[str, Any]:
    return {
        "max_connections": tcp.max_connections or UINT32_MAX,
        "max_pending_requests": http.http1_max_pending_requests or UINT32_MAX,
        "max_requests": http.http2_max_requests or UINT32_MAX,
        "max_retries": http.max_retries or UINT32_MAX,
        "track_remaining": True,
        **({"retry_budget": _retry_budget(budget)} if budget else {}),
    }


def _retry_budget(budget: RetryBudget) -> dict[str, Any]:
    percent = _BUDGET_PERCENT if budget.percent is None else budget.percent
    return {
        "budget_percent": {"value": percent},
        "min_retry_concurrency": budget.min_retry_concurrency or _BUDGET_RETRIES,
    }


def _keepalive(keepalive: TcpKeepalive) -> dict[str, int]:
    return {
        **({"keepalive_probes": keepalive.probes} if keepalive.probes else {}),
        **({"keepalive_time": whole_seconds(keepalive.time)} if keepalive.time else {}),
        **({"keepalive_interval": whole_seconds(keepalive.interval)} if keepalive.interval else {}),
    }


def _common_options(tcp: TcpPool, http: HttpPool) -> dict[str, Any]:
    idle = tcp.idle_timeout if http.idle_timeout is None else http.idle_timeout
    return {
        **({} if idle is None else {"idle_timeout": duration(idle)}),
        **(
            {"max_requests_per_connection": http.max_requests_per_connection}
            if http.max_requests_per_connection
            else {}
        ),
        **(
            {"max_connection_duration": duration(tcp.max_connection_duration)}
            if tcp.max_connection_duration
            else {}
        ),
    }


def _http2_options(http: HttpPool) -> dict[str, int]:
    limit = http.max_concurrent_streams
    return {"max_concurrent_streams": limit} if limit else {}
