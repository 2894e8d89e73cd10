"""Writes manifests of many applications, as a platform team's repository holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

OBJECTS_OF_APPLICATION: Final = 5
_NAMESPACES: Final = 20
_APPLICATION: Final = """\
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{app: {name}}}
spec:
  selector: {{app: {name}}}
  ports:
    - {{name: http, port: 80, targetPort: 8080, appProtocol: http}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {name}
  namespace: {namespace}
spec:
  host: {name}
  trafficPolicy:
    outlierDetection: {{consecutive5xxErrors: 5, interval: 10s, maxEjectionPercent: 50}}
    connectionPool: {{http: {{http2MaxRequests: 1000}}}}
  subsets:
    - {{name: stable, labels: {{track: stable}}}}
    - {{name: canary, labels: {{track: canary}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}
  namespace: {namespace}
spec:
  hosts: [{name}]
  http:
    - name: preview
      match:
        - headers: {{x-variant: {{exact: canary}}}}
          uri: {{prefix: /v1/}}
      route:
        - destination: {{host: {name}, subset: canary}}
      retries: {{attempts: 0}}
    - name: primary
      route:
        - destination: {{host: {name}, subset: stable}}
          weight: 90
        - destination: {{host: {name}, subset: canary}}
          weight: 10
      timeout: 10s
      retries: {{attempts: 0}}
"""
_WORKLOAD: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}-{track}
  namespace: {namespace}
  labels: {{app: {name}, track: {track}}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: {name}, track: {track}}}
  template:
    metadata:
      labels: {{app: {name}, track: {track}}}
    spec:
      serviceAccountName: {name}
      containers:
        - name: app
          image: registry.example/{name}:1.0.0
          ports:
            - {{name: http, containerPort: 8080}}
          env:
            - {{name: LOG_LEVEL, value: info}}
          resources:
            requests: {{cpu: 100m, memory: 64Mi}}
            limits: {{memory: 128Mi}}
          readinessProbe:
            httpGet: {{path: /readyz, port: http}}
"""


def write_manifests(path: Path, applications: int) -> None:
    """Write a Service, a DestinationRule, a VirtualService and two Deployments for each."""
    path.write_text("---\n".join(_documents(applications)), encoding="utf-8")


def _documents(applications: int) -> Iterator[str]:
    for index in range(applications):
        names = {"name": f"app-{index}", "namespace": f"team-{index % _NAMESPACES}"}
        yield _APPLICATION.format(**names)
        for track in ("stable", "canary"):
            yield _WORKLOAD.format(track=track, **names)
