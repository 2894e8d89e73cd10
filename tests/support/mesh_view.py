"""What a mesh and a rollout controller would tell Prometheus about a client's real requests.

There is no mesh here. The client itself counts what its sidecar would have: the series of Istio's
standard metrics, as the proxy on the caller's side reports them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

NAMESPACE: Final = "shop"
MILLISECONDS: Final = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)

#: The same in every series: the gateway calls the Service kv.
FIXED: Final = {
    "reporter": "source",
    "source_workload": "gateway",
    "source_workload_namespace": "istio-ingress",
    "destination_service": f"kv.{NAMESPACE}.svc.cluster.local",
    "destination_service_name": "kv",
    "destination_service_namespace": NAMESPACE,
    "request_protocol": "http",
    "connection_security_policy": "unknown",
}
VARYING: Final = (
    "destination_workload",
    "destination_version",
    "response_code",
    "response_flags",
)


class MeshView:
    """Counts a client's requests by release, status and response flags."""

    def __init__(self) -> None:
        self.mesh = CollectorRegistry()
        self.rollout = CollectorRegistry()
        labels = [*FIXED, *VARYING]
        self._requests = Counter("istio_requests", "Requests.", labels, registry=self.mesh)
        self._duration = Histogram(
            "istio_request_duration_milliseconds",
            "Durations.",
            labels,
            buckets=MILLISECONDS,
            registry=self.mesh,
        )
        self._weight = Gauge(
            "kv_rollout_weight_ratio",
            "Desired share of the traffic.",
            ["namespace", "track"],
            registry=self.rollout,
        )

    def answered(self, track: str, version: str, status: int, seconds: float) -> None:
        """Count an answer of the service's own."""
        self._count((f"kv-{track}", version, str(status), "-"), seconds)

    def unreached(self, flags: str, seconds: float) -> None:
        """Count a request that reached no pod: the proxy answers 503 itself."""
        self._count(("unknown", "unknown", "503", flags), seconds)

    def desire(self, weights: Mapping[str, float]) -> None:
        for track, weight in weights.items():
            self._weight.labels(NAMESPACE, track).set(weight)

    def _count(self, varying: tuple[str, ...], seconds: float) -> None:
        labels = [*FIXED.values(), *varying]
        self._requests.labels(*labels).inc()
        self._duration.labels(*labels).observe(seconds * 1000)

    @contextlib.contextmanager
    def exposed(self) -> Iterator[list[dict[str, Any]]]:
        """Serve both on loopback; yields the scrape jobs."""
        with _serving(self.mesh) as mesh, _serving(self.rollout) as rollout:
            yield [
                _job("istio-proxies", mesh, namespace="istio-ingress", pod="gateway-0"),
                _job("kv-rollout", rollout, namespace=NAMESPACE, pod="kv-rollout-0"),
            ]


@contextlib.contextmanager
def _serving(registry: CollectorRegistry) -> Iterator[str]:
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _job(name: str, address: str, **labels: str) -> dict[str, Any]:
    return {
        "job_name": name,
        "honor_labels": True,
        "static_configs": [{"targets": [address], "labels": labels}],
    }
