"""Envoy's access log: one JSON object per request and line, on Envoy's standard output."""

from __future__ import annotations

from typing import Any, Final

from .protobuf_json import extension

#: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
#: Numbers stay numbers; unknown values are null. ``cluster`` is the cluster's name, not the name of
#: its statistics. ``duration_ms`` ends with the last byte sent downstream.
_FIELDS: Final = {
    "start_time": "%START_TIME%",
    "listener": "%FILTER_CHAIN_NAME%",
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS_NUMBER%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "duration_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}


def access_log() -> list[dict[str, Any]]:
    """Return the access logs of a listener."""
    # The stdout logger, because the file /dev/stdout can't be opened if stdout is a socket.
    return [
        extension(
            "envoy.access_loggers.stdout",
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format={"json_format": dict(_FIELDS)},
        )
    ]
