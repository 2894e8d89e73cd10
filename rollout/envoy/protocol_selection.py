"""The protocol of a port, as Istio selects it from ``appProtocol`` or the port's name.

https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ..manifests.kubernetes import ServicePort


class Protocol(StrEnum):
    """The protocols that the translation distinguishes; DETECTED is told by the first bytes."""

    HTTP = "http"
    HTTP2 = "http2"
    DETECTED = "detected"
    TLS = "tls"
    TCP = "tcp"
    UDP = "udp"

    @property
    def has_routes(self) -> bool:
        """Return True if HTTP routes apply to the port."""
        return self in {Protocol.HTTP, Protocol.HTTP2, Protocol.DETECTED}

    @property
    def is_http(self) -> bool:
        return self in {Protocol.HTTP, Protocol.HTTP2}


_GRPC_WEB: Final = "grpc-web"
_PROTOCOLS: Final = {
    "http": Protocol.HTTP,
    "http_proxy": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "grpc": Protocol.HTTP2,
    _GRPC_WEB: Protocol.HTTP2,
    "https": Protocol.TLS,
    "tls": Protocol.TLS,
    "tcp": Protocol.TCP,
    "mongo": Protocol.TCP,
    "mysql": Protocol.TCP,
    "redis": Protocol.TCP,
    "udp": Protocol.UDP,
}
_APP_PROTOCOLS: Final = {
    **_PROTOCOLS,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/wss": Protocol.TLS,
}
#: Ports of server-first protocols, which can't be detected: SMTP, DNS, MySQL, MongoDB.
_NOT_DETECTED: Final = frozenset({25, 53, 3306, 27017})


def protocol_of(port: ServicePort) -> Protocol:
    """Return the protocol of a Service's port; ``appProtocol`` overrides the name."""
    if port.protocol == "UDP":
        return Protocol.UDP
    if port.protocol != "TCP":
        return Protocol.TCP
    if port.app_protocol:
        found = _APP_PROTOCOLS.get(port.app_protocol.lower())
    else:
        name = (port.name or "").lower()
        name = _GRPC_WEB if name.startswith(_GRPC_WEB) else name.partition("-")[0]
        found = _PROTOCOLS.get(name)
    return found or (Protocol.TCP if port.number in _NOT_DETECTED else Protocol.DETECTED)


def parse_protocol(name: str | None) -> Protocol:
    """Return the protocol that a Gateway's server or a ServiceEntry's port names, in any case."""
    return _PROTOCOLS.get((name or "").lower(), Protocol.DETECTED)
