"""The requests in Istio's standard metrics, as the gateway's proxy would report them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ..envoy.configuration import Address
from .access_log import Access, ClusterName
from .loopback import LOOPBACK
from .releases import Pod

#: As in Istio's own dashboards; in milliseconds.
BUCKETS: Final = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000),
    *(60000, 300000, 600000, 1800000, 3600000),
)
#: The same for every request: the gateway reports what it asked a Service for.
_FIXED: Final = {
    "reporter": "source",
    "source_workload": "gateway",
    "source_workload_namespace": "istio-ingress",
    "request_protocol": "http",
    "connection_security_policy": "unknown",
}
_VARYING: Final = (
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_workload",
    "destination_workload_namespace",
    "destination_version",
    "response_code",
    "response_flags",
)
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class _Workload:
    namespace: str
    name: str
    version: str


_NOBODY: Final = _Workload(_UNKNOWN, _UNKNOWN, _UNKNOWN)


class MeshMetrics:
    """Counts requests in a registry of its own.

    A request that reached no pod is its subset's, if that is one workload's. Istio calls those
    ``unknown``, so that only here can an empty subset be told from the others.
    """

    def __init__(self, pods: Iterable[Pod], subsets: Mapping[tuple[str, str], str]) -> None:
        """``subsets`` has the workload's name by the Service's host and the subset's name."""
        self.registry = CollectorRegistry()
        labels = [*_FIXED, *_VARYING]
        self._requests = Counter(
            "istio_requests", "Requests of clients.", labels, registry=self.registry
        )
        self._duration = Histogram(
            "istio_request_duration_milliseconds",
            "From a request's first byte to its answer's last.",
            labels,
            buckets=BUCKETS,
            registry=self.registry,
        )
        pods = tuple(pods)
        self._by_address = {
            f"{pod.traffic.host}:{pod.traffic.port}": _workload(pod) for pod in pods
        }
        by_name = {pod.plan.workload: _workload(pod) for pod in pods}
        self._by_subset = {key: by_name[name] for key, name in subsets.items() if name in by_name}
        self._series: dict[tuple[str, ...], tuple[Counter, Histogram]] = {}

    def observe(self, access: Access) -> None:
        """Count a request."""
        key = self._varying(access)
        if key not in self._series:
            values = [*_FIXED.values(), *key]
            self._series[key] = (self._requests.labels(*values), self._duration.labels(*values))
        requests, duration = self._series[key]
        requests.inc()
        duration.observe(access.seconds * 1000)

    def _varying(self, access: Access) -> tuple[str, ...]:
        workload = self._by_address.get(access.upstream or "")
        if workload is None and access.cluster is not None:
            workload = self._by_subset.get((access.cluster.host, access.cluster.subset))
        workload = workload or _NOBODY
        return (
            *_service(access.cluster),
            workload.name,
            workload.namespace,
            workload.version,
            str(access.status),
            access.flags,
        )


def _workload(pod: Pod) -> _Workload:
    return _Workload(pod.plan.namespace, pod.plan.workload, pod.plan.version)


def _service(cluster: ClusterName | None) -> tuple[str, str, str]:
    if cluster is None:
        return _UNKNOWN, _UNKNOWN, _UNKNOWN
    name, _, rest = cluster.host.partition(".")
    return cluster.host, name, rest.partition(".")[0] or _UNKNOWN


@contextlib.asynccontextmanager
async def serving_metrics(registries: Iterable[CollectorRegistry]) -> AsyncIterator[Address]:
    """Serve ``/metrics`` of these registries on a free port until the block ends."""
    registries = tuple(registries)

    async def show(_: web.Request) -> web.Response:
        body = b"".join(map(generate_latest, registries))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.add_routes([web.get("/metrics", show)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield Address(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()
