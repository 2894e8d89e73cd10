"""The mesh of the conformance cases: backends in three namespaces, and an Envoy for each caller."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rollout.envoy.configuration import Address, LocalAddresses, Objects, PodPort
from rollout.envoy.gateway_api import with_gateway_api
from rollout.envoy.local_configuration import (
    gateway_configuration,
    http_ports,
    mesh_configuration,
)
from rollout.envoy.proxy import Proxy
from rollout.manifests.semantics import made_of
from rollout.rehearsal.applied_manifests import read_applied_manifests
from tests.rollout.envoy.envoy_binary import serving
from tests.rollout.gateway_api.echo_backends import EchoBackends
from tests.support.ports import free_port

#: Services by ``namespace/name``, each with a pod, at port 8080.
BACKENDS: Final = ("infra/v1", "infra/v2", "infra/v3", "app/v1", "app/v2", "web/v1")
_LABELS: Final = {"infra": "infra", "app": "backend", "web": "backend"}


def base_documents() -> list[dict[str, Any]]:
    """Return namespaces, Services and Deployments of the backends."""
    found: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each, "labels": {"is": it}}}
        for each, it in _LABELS.items()
    ]
    for backend in BACKENDS:
        namespace, _, name = backend.partition("/")
        labels = {"app": name}
        metadata = {"name": name, "namespace": namespace}
        port = {"name": "http", "port": 8080}
        found.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": labels, "ports": [port]},
            }
        )
        containers = [{"name": "a", "image": "a", "ports": [{"containerPort": 8080}]}]
        found.append(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": containers},
                    },
                },
            }
        )
    return found


class ConformanceMesh:
    """Objects, and an Envoy for each caller that asks, started when it first does."""

    def __init__(
        self,
        documents: list[dict[str, Any]],
        backends: EchoBackends,
        directory: Path,
        stack: contextlib.ExitStack,
    ) -> None:
        self.objects: Objects = read_applied_manifests([*base_documents(), *documents]).objects
        self._backends = backends
        self._directory = directory
        self._stack = stack
        self._started: dict[str, LocalAddresses] = {}

    def gateway(self, name: str, port: int = 80) -> Address:
        """Return the address of a port of a Gateway, ``namespace/name``."""
        return self._local(f"Gateway {name}").listeners[port]

    def inside(self, namespace: str) -> Address:
        """Return the address for callers in a namespace."""
        address = self._local(f"mesh {namespace}").mesh
        assert address is not None
        return address

    def _local(self, caller: str) -> LocalAddresses:
        if caller not in self._started:
            kind, _, name = caller.partition(" ")
            mesh = kind == "mesh"
            proxy = Proxy.sidecar(name) if mesh else self._gateway_proxy(name)
            ports = () if mesh else http_ports(self.objects, proxy)
            local = LocalAddresses(
                {
                    PodPort(namespace, name, 8080): (self._backends.address(each),)
                    for each in BACKENDS
                    for namespace, _, name in (each.partition("/"),)
                },
                {port: Address("127.0.0.1", free_port()) for port in ports},
                Address("127.0.0.1", free_port()) if mesh else None,
            )
            configure = mesh_configuration if mesh else gateway_configuration
            directory = self._directory / str(len(self._started))
            directory.mkdir()
            self._stack.enter_context(serving(configure(self.objects, local, proxy), directory))
            self._started[caller] = local
        return self._started[caller]

    def _gateway_proxy(self, name: str) -> Proxy:
        namespace, _, gateway = name.partition("/")
        for each in with_gateway_api(self.objects).gateways:
            if made_of(each, "Gateway", namespace, gateway):
                return Proxy.gateway(each.spec.selector, namespace)
        raise AssertionError(f"Istio programs no Gateway {name}")


@contextlib.contextmanager
def conformance_mesh(
    documents: list[dict[str, Any]], directory: Path
) -> Iterator[tuple[ConformanceMesh, EchoBackends]]:
    backends = EchoBackends(BACKENDS)
    with contextlib.ExitStack() as stack:
        stack.enter_context(backends.running())
        yield ConformanceMesh(documents, backends, directory, stack), backends
