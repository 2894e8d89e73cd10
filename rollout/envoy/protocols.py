"""What the ports of a Service speak, as Istio reads it from ``appProtocol`` or the port's name."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ..manifests.kubernetes import ServicePort


class Protocol(StrEnum):
    """As far as it matters to the proxy; what Istio would guess from the first bytes is HTTP."""

    HTTP = "http"
    HTTP2 = "http2"
    OTHER = "other"


_GRPC_WEB: Final = "grpc-web"
_PROTOCOLS: Final = {
    "http": Protocol.HTTP,
    "http_proxy": Protocol.HTTP,
    "kubernetes.io/ws": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "grpc": Protocol.HTTP2,
    _GRPC_WEB: Protocol.HTTP2,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "https": Protocol.OTHER,
    "kubernetes.io/wss": Protocol.OTHER,
    "tcp": Protocol.OTHER,
    "tls": Protocol.OTHER,
    "mongo": Protocol.OTHER,
    "mysql": Protocol.OTHER,
    "redis": Protocol.OTHER,
    "udp": Protocol.OTHER,
}
#: Where servers speak first, so that nothing can be guessed: SMTP, DNS, MySQL, MongoDB.
_NEVER_GUESSED: Final = frozenset({25, 53, 3306, 27017})


def protocol_of(port: ServicePort) -> Protocol:
    """Return what a port speaks; ``appProtocol`` goes before the name."""
    if port.protocol != "TCP":
        return Protocol.OTHER
    said = (port.app_protocol or port.name or "").lower()
    if not port.app_protocol:
        said = _GRPC_WEB if said.startswith(_GRPC_WEB) else said.partition("-")[0]
    unknown = Protocol.OTHER if port.number in _NEVER_GUESSED else Protocol.HTTP
    return _PROTOCOLS.get(said, unknown)


def speaks_http(port: ServicePort) -> bool:
    return protocol_of(port) is not Protocol.OTHER
