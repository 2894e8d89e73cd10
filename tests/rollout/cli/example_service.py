"""Example services: a VirtualService in a fake cluster, with clients and Istio's metrics."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from tests.rollout.cluster.virtual_services import COLLECTION, live, rule, to, virtual_service
from tests.support.api_server import ApiServer

#: Bucket boundaries of Istio's histogram, in milliseconds.
BOUNDS: Final = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000)
_TICK_SECONDS: Final = 0.02
STEPS: Final = {"0": 0, "50": 50, "100": 100}
#: Short, but with several windows at each step.
TIMES: Final = "stepTime: 400ms\npoll: 100ms\ndeadline: 5m\n"
PREREQUISITES: Final = """\
apiVersion: v1
kind: Service
metadata: {{name: kv, namespace: {namespace}}}
spec:
  selector: {{app: kv}}
  ports: [{{name: http, port: 8080, targetPort: http, appProtocol: http}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: kv, namespace: {namespace}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 80, name: http, protocol: HTTP}}
      hosts: [kv.example.com]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: kv, namespace: {namespace}}}
spec:
  host: kv
  subsets:
    - {{name: stable, labels: {{track: stable}}}}
    - {{name: canary, labels: {{track: canary}}}}
"""
DEPLOYMENT: Final = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: kv-{track}, namespace: {namespace}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: kv, track: {track}}}}}
  template:
    metadata: {{labels: {{app: kv, track: {track}, version: {version}}}}}
    spec:
      containers:
        - name: kv
          image: tallykv
          ports: [{{name: http, containerPort: 8080}}, {{name: admin, containerPort: 9102}}]
"""


def step(namespace: str, percent: int) -> dict[str, Any]:
    """Return the VirtualService that gives the canary this percentage."""
    entries = to("stable", 100 - percent), to("canary", percent)
    document = virtual_service(rule("all", *entries, retries={"attempts": 0}))
    document["metadata"]["namespace"] = namespace
    return document


def write_rollout(directory: Path, namespace: str, plan: str = TIMES) -> Path:
    """Write the directory of a canary rollout with three steps, and its prerequisites."""
    tracks = [("stable", "1.4.0"), ("canary", "1.5.0")]
    deployments = [
        DEPLOYMENT.format(track=track, version=version, namespace=namespace)
        for track, version in tracks
    ]
    directory.mkdir()
    manifests = PREREQUISITES.format(namespace=namespace) + "".join(deployments)
    (directory / "prerequisites.yaml").write_text(manifests)
    (directory / "plan.yaml").write_text(f"prerequisites: [prerequisites.yaml]\n{plan}")
    for name, percent in STEPS.items():
        (directory / "steps" / name).mkdir(parents=True)
        text = yaml.safe_dump(step(namespace, percent))
        (directory / "steps" / name / "routes.yaml").write_text(text)
    return directory


@dataclass
class ExampleService:
    """A service with two tracks. Tests change ``errors``, the error ratio of each track.

    ``unreachable`` tracks have no pods; Istio counts their requests for the workload "unknown".
    """

    reporter: ClassVar[str] = "source"
    collection: ClassVar[str] = COLLECTION
    namespace: str
    server: ApiServer
    rate: float = 2000.0
    errors: dict[str, float] = field(default_factory=dict)
    unreachable: frozenset[str] = frozenset()
    #: The canary's percentages that were in force, in order.
    history: list[int] = field(default_factory=list)
    _counts: Counter[tuple[str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.server.observers.append(self._note_share)
        self.history.append(self.share)

    @property
    def document(self) -> dict[str, Any]:
        return self.server.objects[self.collection, self.namespace, "kv"]

    @property
    def has_requests(self) -> bool:
        return self._counts.total() > 0

    @property
    def share(self) -> int:
        """The canary's current percentage."""
        (entries,) = [each["route"] for each in self.document["spec"]["http"]]
        return sum(
            each.get("weight", 100) for each in entries if each["destination"]["subset"] == "canary"
        )

    def service(self, _workload: str) -> str:
        """Return the Service that the requests of a workload were sent to."""
        return "kv"

    def serve(self, seconds: float) -> None:
        """Count the requests of this many seconds."""
        share = self.share
        for track, part in (("stable", 1 - share / 100), ("canary", share / 100)):
            # In millionths of requests, so that fractions are not lost.
            requests = round(self.rate * seconds * part * 1e6)
            bad = 1.0 if track in self.unreachable else self.errors.get(track, 0.0)
            workload = "unknown" if track in self.unreachable else f"kv-{track}"
            self._counts[workload, 503] += round(requests * bad)
            self._counts[workload, 200] += requests - round(requests * bad)

    def _note_share(self, key: tuple[str, str, str]) -> None:
        if key == (self.collection, self.namespace, "kv") and self.history[-1:] != [self.share]:
            self.history.append(self.share)

    def exposition(self) -> Iterator[str]:
        for (workload, status), millionths in sorted(self._counts.items()):
            if (number := millionths // 1_000_000) == 0:
                continue  # a proxy exports no counter before the first request
            labels = (
                f'reporter="{self.reporter}",destination_service_name="{self.service(workload)}",'
                f'destination_service_namespace="{self.namespace}",'
                f'destination_workload="{workload}",response_code="{status}"'
            )
            name = "istio_request_duration_milliseconds"
            for bound in (*BOUNDS, "+Inf"):
                within = number if bound == "+Inf" or float(bound) >= 25 else 0
                yield f'{name}_bucket{{{labels},le="{bound}"}} {within}'
            yield f"{name}_count{{{labels}}} {number}"


def new_namespace() -> str:
    return f"example-{uuid.uuid4().hex[:8]}"


class FakeIngressGateway:
    """A proxy for all example services: splits requests by the weights, and exports metrics."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self._services: list[ExampleService] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            # Prometheus keeps its connection: no thread is started for each scrape.
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = gateway.exposition().encode()
                with contextlib.suppress(ConnectionError):  # Prometheus may disconnect
                    self.send_response(200)
                    self.send_header("Content-Type", "text/plain; version=0.0.4")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._threads = [
            threading.Thread(target=self._http.serve_forever, name="gateway metrics"),
            threading.Thread(target=self._send, name="gateway requests"),
        ]

    @contextlib.contextmanager
    def serving(self) -> Iterator[dict[str, Any]]:
        """Serve metrics until the block ends; yield the scrape job."""
        for thread in self._threads:
            thread.start()
        try:
            yield {
                "job_name": "gateway",
                "static_configs": [{"targets": [f"127.0.0.1:{self._http.server_port}"]}],
            }
        finally:
            self._closing.set()
            self._http.shutdown()
            self._http.server_close()
            for thread in self._threads:
                thread.join()

    @contextlib.contextmanager
    def add_service(self) -> Iterator[ExampleService]:
        """Add a service in a new namespace, with a canary that gets no requests."""
        namespace = new_namespace()
        self.server.put(COLLECTION, live(step(namespace, 0)))
        service = ExampleService(namespace, self.server)
        with self.counting(service):
            yield service

    @contextlib.contextmanager
    def counting(self, service: ExampleService) -> Iterator[None]:
        """Send requests to a service until the block ends."""
        with self._lock:
            self._services.append(service)
        try:
            yield
        finally:
            with self._lock:
                self._services.remove(service)

    def exposition(self) -> str:
        with self._lock:
            return "".join(
                f"{line}\n" for service in self._services for line in service.exposition()
            )

    def _send(self) -> None:
        before = time.monotonic()
        while not self._closing.wait(_TICK_SECONDS):
            now = time.monotonic()
            with self._lock:
                for service in self._services:
                    service.serve(now - before)
            before = now
