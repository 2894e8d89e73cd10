"""A DestinationRule's connection pool: limits, timeouts, keepalive and the HTTP version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from ..manifests.traffic_policy import ConnectionPool, HttpPool, TcpKeepalive, TcpPool
from .protobuf_json import UINT32_MAX, duration, typed, whole_seconds
from .protocol_selection import Protocol

_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
#: Istio's default.
_CONNECT_TIMEOUT: Final = timedelta(seconds=10)


def connection_pool_fields(pool: ConnectionPool | None, protocol: Protocol) -> dict[str, Any]:
    """Return the fields of a cluster; a limit that is missing or 0 means no limit."""
    tcp = (pool and pool.tcp) or TcpPool()
    http = (pool and pool.http) or HttpPool()
    options = _http_options(tcp, http, protocol)
    return {
        "connect_timeout": duration(tcp.connect_timeout or _CONNECT_TIMEOUT),
        "circuit_breakers": {"thresholds": [_thresholds(tcp, http)]},
        **(
            {"upstream_connection_options": {"tcp_keepalive": _keepalive(tcp.tcp_keepalive)}}
            if tcp.tcp_keepalive
            else {}
        ),
        **({"typed_extension_protocol_options": {_HTTP_OPTIONS: options}} if options else {}),
    }


def _thresholds(tcp: TcpPool, http: HttpPool) -> dict[str, Any]:
    return {
        "max_connections": tcp.max_connections or UINT32_MAX,
        "max_pending_requests": http.http1_max_pending_requests or UINT32_MAX,
        "max_requests": http.http2_max_requests or UINT32_MAX,
        "max_retries": http.max_retries or UINT32_MAX,
        "track_remaining": True,
    }


def _keepalive(keepalive: TcpKeepalive) -> dict[str, int]:
    return {
        **({"keepalive_probes": keepalive.probes} if keepalive.probes else {}),
        **({"keepalive_time": whole_seconds(keepalive.time)} if keepalive.time else {}),
        **({"keepalive_interval": whole_seconds(keepalive.interval)} if keepalive.interval else {}),
    }


def _http_options(tcp: TcpPool, http: HttpPool, protocol: Protocol) -> dict[str, Any] | None:
    idle = tcp.idle_timeout if http.idle_timeout is None else http.idle_timeout
    common = {
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
    http2 = protocol is Protocol.HTTP2 or http.h2_upgrade_policy == "UPGRADE"
    if not common and not http2:
        return None
    return typed(
        _HTTP_OPTIONS,
        explicit_http_config=(
            {"http2_protocol_options": _http2_options(http, protocol)}
            if http2
            else {"http_protocol_options": {}}
        ),
        **({"common_http_protocol_options": common} if common else {}),
    )


def _http2_options(http: HttpPool, protocol: Protocol) -> dict[str, int]:
    # As in istiod, the limit does not apply to a port that is HTTP/2 only by h2UpgradePolicy.
    if protocol is Protocol.HTTP2 and http.max_concurrent_streams:
        return {"max_concurrent_streams": http.max_concurrent_streams}
    return {}
