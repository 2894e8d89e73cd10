"""What one caller's proxy is programmed with: its routes by port, and the pods of each cluster.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..envoy.configuration import (
    Address,
    CertificateFiles,
    Configuration,
    LocalAddresses,
    LocalSidecar,
    Objects,
    PodPort,
    Resource,
)
from ..envoy.inbound import guarded_ports
from ..envoy.local_configuration import gateway_configuration, http_ports, mesh_configuration
from ..envoy.peer_modes import Mode
from ..envoy.proxy import Proxy
from ..manifests.hosts import covers_host
from .destinations import Target
from .evaluation import chosen_route, virtual_host
from .origins import Origins
from .requests import Request

_HTTP, _HTTPS = 80, 443
#: The place of an address that is chosen later: of a listener, a pod, or another service.
LISTENER: Final = "listener"
MESH: Final = Address(LISTENER, 0)
POD: Final = "pod "
ELSEWHERE: Final = Address("elsewhere", 0)


class _Pods(dict[PodPort, tuple[Address, ...]]):
    """A ready pod for each port of each workload, at an address that names it."""

    def get(self, key: PodPort, default: Any = None) -> Any:  # noqa: ARG002 - dict's signature
        return (pod_address(key),)


class _Certificates(dict[str, CertificateFiles]):
    """Names in place of the files of each secret, which are made later."""

    def __missing__(self, name: str) -> CertificateFiles:
        return CertificateFiles(f"chain of {name}", f"key of {name}")


def pod_address(pod: PodPort) -> Address:
    """Return the place of a pod's address."""
    return Address(f"{POD}{pod.namespace}/{pod.workload}", pod.port)


@dataclass(frozen=True, slots=True)
class View:
    """One proxy's configuration, with places for the addresses of this machine.

    ``guarded`` are the pods whose sidecar decides about requests. ``pods`` has the workloads behind
    each cluster.
    """

    proxy: Proxy
    objects: Objects
    origins: Origins
    configuration: Configuration
    guarded: Mapping[PodPort, Mode]
    pods: Mapping[str, frozenset[str]]

    @property
    def listeners(self) -> tuple[Resource, ...]:
        """Return the listeners for callers, without those in front of pods."""
        return tuple(
            each
            for each in self.configuration.listeners
            if each["address"]["socket_address"]["address"] == LISTENER
        )

    def port_of(self, request: Request) -> int | None:
        """Return the listener's port for a request, None if it has none; 0 is the mesh's."""
        if not self.proxy.is_gateway:
            return 0
        ports = {port: _encrypted(each) for port, each in self._by_port()}
        if request.port is not None:
            return request.port if request.port in ports else None
        wanted = [port for port, encrypted in ports.items() if request.tls in encrypted]
        usual = _HTTPS if request.tls else _HTTP
        return usual if usual in wanted else min(wanted, default=None)

    def is_encrypted(self, request: Request) -> bool:
        """Return True if the connection of a request is TLS, also where only TLS is spoken."""
        port = self.port_of(request)
        found = next((each for number, each in self._by_port() if number == port), None)
        return request.tls or (found is not None and _encrypted(found) == {True})

    def table(self, request: Request) -> Resource | None:
        """Return the route configuration for a request's port and server name."""
        port = self.port_of(request)
        for number, listener in self._by_port():
            if number == port:
                chain = _chain(listener, request.host, tls=self.is_encrypted(request))
                name = chain and routes_of(chain)
                for each in self.configuration.route_configurations:
                    if each["name"] == name:
                        return each
        return None

    def host(self, request: Request) -> Resource | None:
        """Return the virtual host for a request."""
        table = self.table(request)
        return table and virtual_host(table, request.authority)

    def route(self, request: Request) -> tuple[int, Resource] | None:
        """Return the route that takes a request, with its index in the virtual host."""
        host = self.host(request)
        return chosen_route(host, request, tls=self.is_encrypted(request)) if host else None

    @property
    def entries(self) -> tuple[tuple[int, bool], ...]:
        """Return the ports, each with whether it speaks TLS; one may do both."""
        return tuple(
            (port, tls) for port, each in self._by_port() for tls in sorted(_encrypted(each))
        )

    def has_cluster(self, name: str) -> bool:
        return name in self.pods

    def target(self, cluster: str) -> Target:
        return Target.of(cluster, self.pods)

    def _by_port(self) -> Iterator[tuple[int, Resource]]:
        for each in self.listeners:
            yield each["address"]["socket_address"]["port_value"], each


def build_view(
    objects: Objects, origins: Origins, proxy: Proxy, allocate: Callable[[], Address]
) -> View:
    """Translate objects for one proxy; ``allocate`` gives an address to each guarded pod."""
    guarded = guarded_ports(objects, proxy) if _has_policies(objects) else {}
    ports = http_ports(objects, proxy) if proxy.is_gateway else ()
    local = LocalAddresses(
        _Pods(),
        {port: Address(LISTENER, port) for port in ports},
        None if proxy.is_gateway else MESH,
        ELSEWHERE,
        {(pod, pod_address(pod)): LocalSidecar(allocate(), mode) for pod, mode in guarded.items()},
        _Certificates(),
    )
    configure = gateway_configuration if proxy.is_gateway else mesh_configuration
    made = configure(objects, local, proxy)
    sidecars = {each.address: pod for (pod, _), each in local.sidecars.items()}
    pods = {
        name: frozenset(_workloads(each, sidecars)) for name, each in made.load_assignments.items()
    }
    return View(proxy, objects, origins, made, guarded, pods)


def routes_of(chain: Resource) -> str | None:
    """Return the name of the route configuration of a filter chain, None for TCP."""
    for each in chain["filters"]:
        name = each["typed_config"].get("rds", {}).get("route_config_name")
        if name:
            return str(name)
    return None


def _has_policies(objects: Objects) -> bool:
    return bool(
        objects.authorization_policies
        or objects.request_authentications
        or objects.peer_authentications
    )


def _workloads(assignment: Resource, sidecars: Mapping[Address, PodPort]) -> Iterator[str]:
    for group in assignment["endpoints"]:
        for each in group["lb_endpoints"]:
            socket = each["endpoint"]["address"]["socket_address"]
            address = Address(socket["address"], socket["port_value"])
            if address in sidecars:
                address = pod_address(sidecars[address])
            if address.host.startswith(POD):
                yield f"{address.host.removeprefix(POD)}:{address.port}"


def _encrypted(listener: Resource) -> set[bool]:
    return {"transport_socket" in each for each in listener["filter_chains"] if routes_of(each)}


def _chain(listener: Resource, name: str, *, tls: bool) -> Resource | None:
    """Return the filter chain of a server name: the most specific one."""
    best: Resource | None = None
    longest = -1
    for each in listener["filter_chains"]:
        if ("transport_socket" in each) != tls:
            continue
        names = each.get("filter_chain_match", {}).get("server_names", ()) if tls else ()
        lengths = [len(one) for one in names if covers_host(one, name)]
        length = 0 if not names else max(lengths, default=-1)
        if length > longest:
            best, longest = each, length
    return best
