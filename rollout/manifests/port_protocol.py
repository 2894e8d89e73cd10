"""The protocol that Istio takes from a Service port's appProtocol or name.

https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
"""

from __future__ import annotations

from typing import Final

from .kubernetes import ServicePort

_STANDARD: Final = {
    "kubernetes.io/h2c": "http2",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "https",
}
_NAMES: Final = frozenset(
    {
        *("http", "http_proxy", "http2", "https", "grpc", "grpc-web"),
        *("tcp", "tls", "mongo", "mysql", "redis", "udp"),
    }
)
#: Their servers speak first, so that Istio can't detect the protocol: SMTP, DNS, MySQL, MongoDB.
_SERVER_FIRST: Final = frozenset({25, 53, 3306, 27017})
#: A sidecar routes requests of these by VirtualServices; "" is detected from the first bytes.
ROUTED_AS_HTTP: Final = frozenset({"http", "http_proxy", "http2", "grpc", "grpc-web", ""})


def declared_protocol(port: ServicePort) -> str:
    """Return the protocol in lower case, such as ``grpc``; "" if Istio detects it."""
    if port.protocol.upper() != "TCP":
        return port.protocol.lower()
    if port.app_protocol:
        written = port.app_protocol.lower()
        name = _STANDARD.get(written, written)
    else:
        written = (port.name or "").lower()
        name = "grpc-web" if written.startswith("grpc-web") else written.partition("-")[0]
    if name in _NAMES:
        return name
    return "tcp" if port.number in _SERVER_FIRST else ""
