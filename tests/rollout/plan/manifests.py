"""Manifests of a mesh without steps: two releases, as subsets or as Services, and a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Final

GATEWAY: Final = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
SERVICE: Final = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{{selector}}}
  ports: [{{name: http, port: 9080, targetPort: 9080}}]
"""
DEPLOYMENT: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: reviews-{version}, namespace: shop}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: reviews, version: {version}}}}}
  template:
    metadata: {{labels: {{app: reviews, version: {version}}}}}
    spec:
      containers: [{{name: reviews, image: reviews, ports: [{{containerPort: 9080}}]}}]
"""
RULE: Final = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""
#: Its rules have no names, as in most manifests.
ROUTES: Final = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{host}]
  gateways: [{gateways}]
  http:
    - retries: {{attempts: 0}}
      route: [{route}]
"""
#: A Gateway of the Gateway API, which Istio runs.
API_GATEWAY: Final = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
API_ROUTE: Final = """\
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: shop}}
spec:
  parentRefs: [{parents}]
  hostnames: [{host}]
  rules: [{{backendRefs: [{backends}]}}]
"""


def subset(name: str, weight: int) -> str:
    return f"{{destination: {{host: reviews, subset: {name}}}, weight: {weight}}}"


def service(name: str, weight: int) -> str:
    return f"{{destination: {{host: {name}}}, weight: {weight}}}"


def routes(
    *route: str, name: str = "reviews", host: str = "reviews.example.com", gateways: str = "edge"
) -> str:
    return ROUTES.format(name=name, host=host, gateways=gateways, route=", ".join(route))


def backend(name: str, weight: int = 1) -> str:
    return f"{{name: {name}, port: 9080, weight: {weight}}}"


def api_route(
    *backends: str,
    kind: str = "HTTPRoute",
    name: str = "reviews",
    host: str = "reviews.example.com",
    parents: str = "{name: edge}",
) -> str:
    """Return a route of the Gateway API with one rule."""
    return API_ROUTE.format(
        kind=kind, name=name, host=host, parents=parents, backends=", ".join(backends)
    )


def deployments() -> list[str]:
    return [DEPLOYMENT.format(version=each) for each in ("v1", "v2")]


def with_subsets(*virtual_services: str) -> list[str]:
    """Return a mesh whose releases are the subsets v1 and v2."""
    owned = SERVICE.format(name="reviews", selector="app: reviews")
    return [GATEWAY, owned, RULE, *deployments(), *virtual_services]


def with_services(*virtual_services: str) -> list[str]:
    """Return a mesh whose releases are the Services reviews-v1 and reviews-v2."""
    services = [
        SERVICE.format(name=f"reviews-{each}", selector=f"app: reviews, version: {each}")
        for each in ("v1", "v2")
    ]
    return [GATEWAY, API_GATEWAY, *services, *deployments(), *virtual_services]


def write(directory: Path, texts: list[str]) -> str:
    """Write the manifests to one file of a new directory; return the directory."""
    directory.mkdir()
    (directory / "all.yaml").write_text("---\n".join(texts))
    return str(directory)
