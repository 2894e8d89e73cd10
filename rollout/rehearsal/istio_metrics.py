"""Istio's standard metrics of the gateway's requests, and an HTTP server that exposes them.

https://istio.io/latest/docs/reference/config/metrics/
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ..envoy.configuration import Address, Objects
from ..envoy.resource_names import ClusterName
from ..manifests.hosts import ServiceName, expand_host
from .access_log import AccessLogEntry
from .kubelet import Pod
from .loopback import LOOPBACK

#: The buckets of Istio's own histogram, in milliseconds.
BUCKETS: Final = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000),
    *(60000, 300000, 600000, 1800000, 3600000),
)
#: Labels with the same value for every request: the gateway's proxy reports them as the source.
_CONSTANT_LABELS: Final = {
    "reporter": "source",
    "source_workload": "gateway",
    "source_workload_namespace": "istio-ingress",
    "connection_security_policy": "unknown",
}
_VARIABLE_LABELS: Final = (
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_workload",
    "destination_workload_namespace",
    "destination_version",
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
)
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class _Workload:
    namespace: str
    name: str
    version: str


_UNKNOWN_WORKLOAD: Final = _Workload(_UNKNOWN, _UNKNOWN, _UNKNOWN)


class IstioMetrics:
    """Counts requests in a registry of its own.

    As in a cluster, the workload of a request for which there was no pod is ``unknown``.
    """

    def __init__(self, pods: Iterable[Pod], objects: Objects) -> None:
        self.registry = CollectorRegistry()
        labels = [*_CONSTANT_LABELS, *_VARIABLE_LABELS]
        self._requests = Counter(
            "istio_requests", "Requests of clients.", labels, registry=self.registry
        )
        self._duration = Histogram(
            "istio_request_duration_milliseconds",
            "From the first byte of a request to the last byte of its response.",
            labels,
            buckets=BUCKETS,
            registry=self.registry,
        )
        pods = tuple(pods)
        self._by_address = {
            f"{pod.traffic.host}:{pod.traffic.port}": _workload(pod) for pod in pods
        }
        by_name = {pod.spec.workload: _workload(pod) for pod in pods}
        self._by_subset = {
            subset: by_name[name]
            for subset, name in _only_workloads(objects).items()
            if name in by_name
        }
        self._series: dict[tuple[str, ...], tuple[Counter, Histogram]] = {}

    def observe(self, entry: AccessLogEntry) -> None:
        """Count a request."""
        variable = self._variable_values(entry)
        if variable not in self._series:
            values = [*_CONSTANT_LABELS.values(), *variable]
            self._series[variable] = (
                self._requests.labels(*values),
                self._duration.labels(*values),
            )
        requests, duration = self._series[variable]
        requests.inc()
        duration.observe(entry.seconds * 1000)

    def _variable_values(self, entry: AccessLogEntry) -> tuple[str, ...]:
        workload = self._by_address.get(entry.upstream or "")
        # The address may be that of a pod's sidecar.
        if workload is None and entry.upstream is not None and entry.cluster is not None:
            workload = self._by_subset.get((entry.cluster.host, entry.cluster.subset))
        workload = workload or _UNKNOWN_WORKLOAD
        return (
            *_service_values(entry.cluster),
            workload.name,
            workload.namespace,
            workload.version,
            "http" if entry.grpc_status is None else "grpc",
            str(entry.status),
            "" if entry.grpc_status is None else str(entry.grpc_status),
            entry.flags,
        )


def _only_workloads(objects: Objects) -> Mapping[tuple[str, str], str]:
    """Return the workload of each subset that has exactly one, by full host and subset.

    The subset of a whole Service is empty.
    """
    found: dict[tuple[str, str], list[str]] = {
        (ServiceName(service.namespace, service.name).host, ""): [
            each.name
            for each in objects.workloads
            if each.namespace == service.namespace and each.has_labels(service.selector)
        ]
        for service in objects.services
        if service.selector
    }
    for rule in objects.destination_rules:
        host = expand_host(rule.spec.host, rule.namespace)
        for subset in rule.spec.subsets:
            found[host, subset.name] = [
                each.name
                for each in objects.workloads
                if each.namespace == rule.namespace and each.has_labels(subset.labels)
            ]
    return {subset: names[0] for subset, names in found.items() if len(names) == 1}


def _workload(pod: Pod) -> _Workload:
    return _Workload(pod.spec.namespace, pod.spec.workload, pod.spec.version)


def _service_values(cluster: ClusterName | None) -> tuple[str, str, str]:
    if cluster is None:
        return _UNKNOWN, _UNKNOWN, _UNKNOWN
    name, _, rest = cluster.host.partition(".")
    return cluster.host, name, rest.partition(".")[0] or _UNKNOWN


@contextlib.asynccontextmanager
async def serving_metrics(registries: Iterable[CollectorRegistry]) -> AsyncIterator[Address]:
    """Serve ``/metrics`` with these registries on a free port until the block ends."""
    registries = tuple(registries)

    async def expose(_: web.Request) -> web.Response:
        body = b"".join(map(generate_latest, registries))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.add_routes([web.get("/metrics", expose)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield Address(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()
