"""The protocol of a port, as far as the translation distinguishes it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ..manifests.kubernetes import ServicePort
from ..manifests.port_protocol import declared_protocol


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


_PROTOCOLS: Final = {
    "http": Protocol.HTTP,
    "http_proxy": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "grpc": Protocol.HTTP2,
    "grpc-web": Protocol.HTTP2,
    "https": Protocol.TLS,
    "tls": Protocol.TLS,
    "tcp": Protocol.TCP,
    "mongo": Protocol.TCP,
    "mysql": Protocol.TCP,
    "redis": Protocol.TCP,
    "udp": Protocol.UDP,
}


def protocol_of(port: ServicePort) -> Protocol:
    """Return the protocol of a Service's port."""
    if port.protocol.upper() not in {"TCP", "UDP"}:
        return Protocol.TCP
    return parse_protocol(declared_protocol(port))


def parse_protocol(name: str | None) -> Protocol:
    """Return the protocol that a Gateway's server or a ServiceEntry's port names, in any case."""
    return _PROTOCOLS.get((name or "").lower(), Protocol.DETECTED)
