"""The servers of Istio's Gateways as istiod reads them, and the pods that a Gateway selects. Pure.

https://istio.io/latest/docs/reference/config/networking/gateway/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.hosts import expand_host, overlap
from ..manifests.kinds import ISTIO_GROUP_SUFFIX
from ..manifests.untyped import list_or_empty, mapping_or_empty, text_or_none
from .resource import Resource

_PLAIN_HTTP: Final = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
_PASSES_THROUGH: Final = frozenset({"PASSTHROUGH", "AUTO_PASSTHROUGH"})

Selector = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """One entry of ``spec.servers``; ``mode`` is None if ``tls`` does not set it."""

    gateway: Resource
    path: str
    number: int
    protocol: str
    hosts: tuple[str, ...]
    has_tls: bool
    mode: str | None
    redirects: bool
    certificates: tuple[str, ...]
    bind: str

    @property
    def passes_through(self) -> bool:
        """Return True if TLS is not terminated. That is also so if no mode is set."""
        encrypted = self.protocol in {"HTTPS", "TLS"} and self.has_tls
        return encrypted and (self.mode or "PASSTHROUGH") in _PASSES_THROUGH

    @property
    def routes_http(self) -> bool:
        """Return True if HTTP routes of VirtualServices apply."""
        return self.protocol in _PLAIN_HTTP or (
            self.protocol == "HTTPS" and not self.passes_through
        )

    @property
    def terminates_tls(self) -> bool:
        return self.protocol in {"HTTPS", "TLS"} and self.has_tls and not self.passes_through

    @property
    def needs_routes(self) -> bool:
        """Return False if it answers without a VirtualService, by redirects or by the SNI alone."""
        automatic = self.passes_through and self.mode == "AUTO_PASSTHROUGH"
        return not (automatic or self.only_redirects)

    @property
    def only_redirects(self) -> bool:
        """Return True if it sends every request to HTTPS."""
        return self.protocol in _PLAIN_HTTP and self.redirects

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the hosts without their namespaces."""
        return tuple(host.rpartition("/")[2] for host in self.hosts)

    def admits(self, host: str, namespace: str | None) -> bool:
        """Return True if a VirtualService of the namespace, or of any, may have this host here."""
        for each in self.hosts:
            written, _, domain = each.rpartition("/")
            own = self.gateway.namespace if written == "." else written
            full = host if namespace is None else expand_host(host, namespace)
            if (namespace is None or own in {"", "*", namespace}) and (
                overlap(domain, host) or overlap(domain, full)
            ):
                return True
        return False


def is_istio_gateway(resource: Resource) -> bool:
    return resource.kind == "Gateway" and resource.id.group.endswith(ISTIO_GROUP_SUFFIX)


def gateway_servers(resource: Resource) -> Iterator[GatewayServer]:
    """Yield the servers of one Gateway; skip those that are malformed."""
    for index, each in enumerate(list_or_empty(resource.spec.get("servers"))):
        server = mapping_or_empty(each)
        port = mapping_or_empty(server.get("port"))
        number = port.get("number")
        if not isinstance(number, int):
            continue
        tls = mapping_or_empty(server.get("tls"))
        yield GatewayServer(
            gateway=resource,
            path=f"spec.servers[{index}]",
            number=number,
            protocol=str(port.get("protocol", "")).upper(),
            hosts=tuple(map(str, list_or_empty(server.get("hosts")))),
            has_tls=bool(tls),
            mode=text_or_none(tls.get("mode")),
            redirects=tls.get("httpsRedirect") is True,
            certificates=tuple(_certificates(tls)),
            bind=text_or_none(server.get("bind")) or "",
        )


def _certificates(tls: Mapping[str, Any]) -> Iterator[str]:
    names = [tls.get("credentialName"), *list_or_empty(tls.get("credentialNames"))]
    files = [tls, *map(mapping_or_empty, list_or_empty(tls.get("tlsCertificates")))]
    for name in (*names, *(each.get("serverCertificate") for each in files)):
        if isinstance(name, str) and name:
            yield name


def selector_of(gateway: Resource) -> Selector:
    """Return the labels that the pods of a Gateway have; without any, all gateways match."""
    selector = mapping_or_empty(gateway.spec.get("selector"))
    return frozenset((str(key), str(value)) for key, value in selector.items())


def selectors_by_gateway(resources: Iterable[Resource]) -> Mapping[str, Selector]:
    """Return the selectors of Istio's Gateways by ``namespace/name``."""
    return {
        f"{it.namespace}/{it.name}": selector_of(it) for it in resources if is_istio_gateway(it)
    }
