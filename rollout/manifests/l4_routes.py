"""Routes of connections: by port for TCP, by the name in the TLS handshake (SNI) for TLS."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .destinations import RouteDestination, check_weights
from .field_types import Port
from .names import DnsLabel, GatewayName, Labels, Subnet, VirtualHost
from .strict_model import StrictModel


class L4Match(StrictModel):
    """A connection must meet all conditions."""

    destination_subnets: tuple[Subnet, ...] = ()
    port: Port | None = None
    source_subnet: str | None = None
    source_labels: Labels = Field(default_factory=dict)
    source_namespace: DnsLabel | None = None
    gateways: tuple[GatewayName, ...] = ()


class TlsMatch(StrictModel):
    sni_hosts: Annotated[tuple[VirtualHost, ...], Field(min_length=1)]
    destination_subnets: tuple[Subnet, ...] = ()
    port: Port | None = None
    source_labels: Labels = Field(default_factory=dict)
    source_namespace: DnsLabel | None = None
    gateways: tuple[GatewayName, ...] = ()


Destinations = Annotated[tuple[RouteDestination, ...], Field(min_length=1), check_weights]


class TcpRoute(StrictModel):
    """A connection must meet one of the matches; without matches, every connection does."""

    match: tuple[L4Match, ...] = ()
    route: Destinations


class TlsRoute(StrictModel):
    match: Annotated[tuple[TlsMatch, ...], Field(min_length=1)]
    route: Destinations
