"""Where requests enter: the Gateways' ports on this machine, and the host to ask for: pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..envoy.configuration import Objects
from ..manifests.gateway import Gateway
from ..manifests.virtual_service import MESH, VirtualService
from .programs import RehearsalFailed

_ANY: Final = "*"


class NoEntrance(RehearsalFailed):
    """No Gateway lets requests in; the message says what is missing."""


def ports_of(gateways: Iterable[Gateway]) -> tuple[int, ...]:
    """Return the ports of all Gateways, each once, the lowest first."""
    return tuple(sorted({each.port.number for one in gateways for each in one.spec.servers}))


def entrance(objects: Objects, routes: VirtualService) -> tuple[int, str]:
    """Return the port and the host by which a VirtualService's requests come in.

    Raises NoEntrance.
    """
    named = [each for each in routes.gateways if each != MESH]
    for gateway in objects.gateways:
        if f"{gateway.namespace}/{gateway.name}" not in named:
            continue
        for server in gateway.spec.servers:
            if server.tls is not None and server.tls.https_redirect:
                continue  # It would only send them on to another port.
            for host in routes.spec.hosts:
                if any(_lets_in(domain, host) for domain in server.domains):
                    return server.port.number, _concrete(host, server.domains)
    raise NoEntrance(
        f"VirtualService {routes.namespace}/{routes.name}: none of the Gateways that it names"
        f" ({', '.join(named) or 'none'}) is among the manifests and has one of its hosts"
    )


def _lets_in(domain: str, host: str) -> bool:
    if _ANY in {domain, host} or domain == host:
        return True
    if domain.startswith("*."):
        return host.endswith(domain[1:])
    return host.startswith("*.") and domain.endswith(host[1:])


def _concrete(host: str, domains: Iterable[str]) -> str:
    """Return a host that a client can ask for."""
    narrowest = host if not host.startswith(_ANY) else next(iter(domains), host)
    if narrowest == _ANY:
        return "rehearsal.test"
    return narrowest.replace("*.", "rehearsal.", 1) if narrowest.startswith("*.") else narrowest
