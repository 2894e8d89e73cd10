"""Connections to a cluster's pods: how many, how long, and by which HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from ..manifests.traffic_policy import ConnectionPool, HttpPool, TcpKeepalive, TcpPool
from .protobuf import UINT32_MAX, duration, typed, whole_seconds
from .protocols import Protocol

_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
#: The mesh's, where a rule says nothing.
_CONNECT_TIMEOUT: Final = timedelta(seconds=10)


def pool_fields(pool: ConnectionPool | None, protocol: Protocol) -> dict[str, Any]:
    """Return a cluster's fields; a limit that is not said, or said to be 0, is none."""
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
    upgraded = protocol is Protocol.HTTP2 or http.h2_upgrade_policy == "UPGRADE"
    if not common and not upgraded:
        return None
    return typed(
        _HTTP_OPTIONS,
        explicit_http_config=(
            {"http2_protocol_options": _http2(http, protocol)}
            if upgraded
            else {"http_protocol_options": {}}
        ),
        **({"common_http_protocol_options": common} if common else {}),
    )


def _http2(http: HttpPool, protocol: Protocol) -> dict[str, int]:
    # istiod limits streams before it upgrades a cluster, so that only those born so are limited.
    if protocol is Protocol.HTTP2 and http.max_concurrent_streams:
        return {"max_concurrent_streams": http.max_concurrent_streams}
    return {}
