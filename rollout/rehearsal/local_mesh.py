"""The addresses and certificates of a rehearsal's mesh: of its entrances and its sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..envoy.configuration import Address, LocalSidecar, Objects, PodPort
from ..envoy.inbound import guarded_ports, identities
from ..envoy.local_configuration import gateway_secrets, http_ports
from ..envoy.peer_modes import Mode
from .certificate import Certificates, make_certificates
from .ingress import Ingress
from .kubelet import Pod
from .loopback import free_addresses


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """Where Envoy listens, and which certificates it has.

    ``listeners`` are by port; a caller inside the mesh has one for all ports. ``encrypted`` are the
    ports that speak TLS. ``sidecars`` stand in front of pods.
    """

    listeners: Mapping[int, Address]
    encrypted: frozenset[int]
    sidecars: Mapping[tuple[PodPort, Address], LocalSidecar]
    certificates: Certificates


async def prepare_mesh(
    objects: Objects, ingresses: Sequence[Ingress], pods: Iterable[Pod], directory: Path
) -> LocalMesh:
    """Choose free addresses and make the certificates; raise a kind of RehearsalFailed."""
    proxy = ingresses[0].proxy
    ports = http_ports(objects, proxy) if proxy.is_gateway else (ingresses[0].port,)
    secrets = gateway_secrets(objects, proxy)
    guarded = guarded_ports(objects, proxy)
    certificates = await make_certificates(
        directory,
        secrets,
        proxy.identity,
        identities(objects, guarded),
        [each.host for each in ingresses],
    )
    listeners = dict(zip(ports, free_addresses(len(ports)), strict=True))
    sidecars = _sidecars(pods, guarded)
    return LocalMesh(listeners, frozenset(secrets.ports), sidecars, certificates)


def _sidecars(
    pods: Iterable[Pod], guarded: Mapping[PodPort, Mode]
) -> Mapping[tuple[PodPort, Address], LocalSidecar]:
    """Return an address for the sidecar of each guarded port of a pod."""
    found = [
        (port, address)
        for pod in pods
        for port, address in pod.addresses().items()
        if port in guarded
    ]
    free = free_addresses(len(found))
    return {
        each: LocalSidecar(address, guarded[each[0]])
        for each, address in zip(found, free, strict=True)
    }
