"""The protocol of a Service port, as Istio selects it from ``appProtocol`` or the port's name.

https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ..manifests.kubernetes import ServicePort


class Protocol(StrEnum):
    """The protocols that the translation distinguishes.

    HTTP includes ports whose protocol Istio would detect from the first bytes.
    """

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
#: Ports of server-first protocols, which can't be detected: SMTP, DNS, MySQL, MongoDB.
_NOT_DETECTED: Final = frozenset({25, 53, 3306, 27017})


def protocol_of(port: ServicePort) -> Protocol:
    """Return the protocol of a port; ``appProtocol`` overrides the name."""
    if port.protocol != "TCP":
        return Protocol.OTHER
    name = (port.app_protocol or port.name or "").lower()
    if not port.app_protocol:
        name = _GRPC_WEB if name.startswith(_GRPC_WEB) else name.partition("-")[0]
    default = Protocol.OTHER if port.number in _NOT_DETECTED else Protocol.HTTP
    return _PROTOCOLS.get(name, default)
