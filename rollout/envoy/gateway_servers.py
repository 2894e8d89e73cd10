"""The servers of all Gateways that select one proxy, merged as istiod does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..manifests.gateway import Gateway, Server
from ..manifests.semantics import has_gateway_semantics
from .age import oldest_first
from .protocol_selection import Protocol, parse_protocol
from .proxy import Proxy
from .resource_names import routes_name, secure_routes_name

#: Modes in which connections stay encrypted: no HTTP route applies.
_PASSTHROUGH: Final = frozenset({"PASSTHROUGH", "AUTO_PASSTHROUGH"})


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """A server with its Gateway, as ``namespace/name``.

    ``routes`` is the name of its route configuration, empty without HTTP routes. ``hosts`` may
    begin with a namespace other than ``*``.
    """

    gateway: str
    server: Server
    routes: str
    hosts: tuple[str, ...]

    @property
    def port(self) -> int:
        return self.server.port.number

    @property
    def bind(self) -> str:
        """Return the address to listen on, empty for all."""
        return self.server.bind or ""

    @property
    def protocol(self) -> Protocol:
        return parse_protocol(self.server.port.protocol)

    @property
    def redirects(self) -> bool:
        """Return True if plaintext requests are redirected to https."""
        return self.server.tls is not None and self.server.tls.https_redirect

    @property
    def terminates(self) -> bool:
        """Return True if the server decrypts connections."""
        tls = self.server.tls
        return tls is not None and not self.protocol.is_http and tls.mode not in _PASSTHROUGH

    def hosts_for(self, namespace: str) -> tuple[str, ...]:
        """Return the hosts, without namespaces, for VirtualServices of a namespace."""
        pairs = [each.rpartition("/") for each in self.hosts]
        return tuple(host for owner, _, host in pairs if owner in {"", namespace})

    @property
    def server_names(self) -> tuple[str, ...]:
        """Return the names in the TLS handshake (SNI) that lead here, empty for all names."""
        names = sorted({each.rpartition("/")[2] for each in self.hosts})
        return () if "*" in names else tuple(names)


@dataclass(slots=True)
class Listener:
    """The servers of one address and port."""

    port: int
    bind: str
    servers: list[GatewayServer] = field(default_factory=list)


@dataclass(slots=True)
class MergedServers:
    """What a proxy listens on, and the servers of each route configuration."""

    listeners: list[Listener] = field(default_factory=list)
    by_routes: dict[str, list[GatewayServer]] = field(default_factory=dict)


def gateways_of(proxy: Proxy, gateways: Iterable[Gateway]) -> list[Gateway]:
    """Return the Gateways that select a proxy, the oldest first.

    They may be in any namespace, but for those of the Gateway API, which have pods of their own.
    """
    return [
        each
        for each in oldest_first(gateways)
        if proxy.has_labels(each.spec.selector)
        and (each.namespace == proxy.namespace or not has_gateway_semantics(each))
    ]


def merge_servers(gateways: Iterable[Gateway]) -> MergedServers:
    """Merge the servers of the Gateways of one proxy, in their order.

    A server is left out if its port already speaks another protocol, and a TLS server if an
    earlier one has one of its hosts.
    """
    merged = _Merge()
    for each in gateways:
        for server in each.spec.servers:
            merged.add(_gateway_server(each, server))
    return merged.result


class _Merge:
    def __init__(self) -> None:
        self.result = MergedServers()
        self._plain: dict[int, GatewayServer] = {}
        self._ports: set[int] = set()
        self._encrypted_binds: dict[int, set[str]] = {}
        self._tls_hosts: dict[int, dict[str, str]] = {}

    def add(self, found: GatewayServer) -> None:
        server, port = found.server, found.port
        if server.tls and not self._claim_hosts(found):
            return
        if port not in self._ports:
            self._ports.add(port)
            if not server.tls or found.protocol.is_http:
                self._plain[port] = found
            if found.routes:
                self.result.by_routes[found.routes] = [found]
        elif current := self._plain.get(port):
            same_bind = current.bind == found.bind
            if same_bind and not (current.protocol.is_http and found.protocol.is_http):
                return
            self.result.by_routes.setdefault(found.routes, []).append(found)
        else:
            if found.routes:
                if found.routes in self.result.by_routes:
                    return
                self.result.by_routes[found.routes] = [found]
            binds = self._encrypted_binds.setdefault(port, set())
            if not server.tls and found.bind in binds:
                return
            binds.add(found.bind)
        self._listener(port, found.bind).servers.append(found)

    def _claim_hosts(self, found: GatewayServer) -> bool:
        known = self._tls_hosts.setdefault(found.port, {})
        if any(known.get(each) == found.bind for each in found.hosts):
            return False
        known.update(dict.fromkeys(found.hosts, found.bind))
        return True

    def _listener(self, port: int, bind: str) -> Listener:
        for each in self.result.listeners:
            if (each.port, each.bind) == (port, bind):
                return each
        self.result.listeners.append(Listener(port, bind))
        return self.result.listeners[-1]


def _gateway_server(gateway: Gateway, server: Server) -> GatewayServer:
    return GatewayServer(
        f"{gateway.namespace}/{gateway.name}",
        server,
        _routes_name(gateway, server),
        tuple(_full_hosts(server.hosts, gateway.namespace)),
    )


def _routes_name(gateway: Gateway, server: Server) -> str:
    protocol, port = server.port.protocol.upper(), server.port
    if parse_protocol(protocol).is_http:
        return routes_name(port.number)
    if protocol == "HTTPS" and server.tls and server.tls.mode not in _PASSTHROUGH:
        return secure_routes_name(port.number, port.name or "", gateway.name, gateway.namespace)
    return ""


def _full_hosts(hosts: Sequence[str], namespace: str) -> Iterator[str]:
    for each in hosts:
        owner, _, host = each.rpartition("/")
        yield host if owner in {"", "*"} else f"{namespace if owner == '.' else owner}/{host}"
