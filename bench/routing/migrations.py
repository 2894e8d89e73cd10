"""VirtualServices and the HTTPRoutes that replace them: tasks of both projects' documentation.

Istio's tasks of traffic management and ingress (https://istio.io/latest/docs/tasks/), which show
both, and the Gateway API's guides (https://gateway-api.sigs.k8s.io/guides/). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

Document = dict[str, Any]
_ISTIO: Final = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
_API: Final = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
"""


@dataclass(frozen=True)
class Migration:
    """``old`` and ``new`` are specs, ``differences`` the lines that ``diff`` has to print."""

    name: str
    old: str
    new: str
    differences: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[list[Document], list[Document]]:
        """Return all objects of both sides."""
        base = _services()
        old = {"kind": "VirtualService", "apiVersion": "networking.istio.io/v1"}
        new = {"kind": "HTTPRoute", "apiVersion": "gateway.networking.k8s.io/v1"}
        metadata = {"name": "routes", "namespace": "default"}
        return (
            [*base, yaml.safe_load(_ISTIO), {**old, "metadata": metadata, "spec": _spec(self.old)}],
            [*base, yaml.safe_load(_API), {**new, "metadata": metadata, "spec": _spec(self.new)}],
        )


def _spec(text: str) -> Document:
    spec: Document = yaml.safe_load(text)
    return spec


def _services() -> list[Document]:
    found: list[Document] = []
    for app in ("reviews", "httpbin"):
        found.append(_document("v1", "Service", app, _ports({"app": app})))
        subsets = [
            {"name": version, "labels": {"version": version}} for version in ("v1", "v2", "v3")
        ]
        rule = {"host": app, "subsets": subsets}
        found.append(_document("networking.istio.io/v1", "DestinationRule", app, rule))
        for version in ("v1", "v2", "v3"):
            labels = {"app": app, "version": version}
            found.append(_document("v1", "Service", f"{app}-{version}", _ports(labels)))
            containers = [{"name": "a", "image": "a", "ports": [{"containerPort": 8000}]}]
            template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
            pods = {"selector": {"matchLabels": labels}, "template": template}
            found.append(_document("apps/v1", "Deployment", f"{app}-{version}", pods))
    return found


def _ports(selector: dict[str, str]) -> Document:
    return {"selector": selector, "ports": [{"name": "http", "port": 8000}]}


def _document(version: str, kind: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


_FROM_OUTSIDE: Final = "parentRefs: [{name: edge}]\nhostnames: [httpbin.example.com]\n"
_OUTSIDE: Final = "hosts: [httpbin.example.com]\ngateways: [edge]\n"
_FROM_INSIDE: Final = "parentRefs: [{group: '', kind: Service, name: reviews, port: 8000}]\n"
_V1: Final = "{destination: {host: httpbin, port: {number: 8000}, subset: v1}}"
_BACKEND: Final = "{name: httpbin-v1, port: 8000}"

MIGRATIONS: Final = (
    Migration(
        "all requests inside the mesh to one version",
        "hosts: [reviews]\nhttp: [{route: [{destination: {host: reviews, subset: v1}}]}]",
        _FROM_INSIDE + "rules: [{backendRefs: [{name: reviews-v1, port: 8000}]}]",
    ),
    Migration(
        "a user to another version",
        """
hosts: [reviews]
http:
- match: [{headers: {end-user: {exact: jason}}}]
  route: [{destination: {host: reviews, subset: v2}}]
- route: [{destination: {host: reviews, subset: v1}}]
""",
        _FROM_INSIDE
        + """
rules:
- matches: [{headers: [{name: end-user, value: jason}]}]
  backendRefs: [{name: reviews-v2, port: 8000}]
- backendRefs: [{name: reviews-v1, port: 8000}]
""",
    ),
    Migration(
        "half of the requests to a new version",
        """
hosts: [reviews]
http:
- route:
  - {destination: {host: reviews, subset: v1}, weight: 50}
  - {destination: {host: reviews, subset: v3}, weight: 50}
""",
        _FROM_INSIDE
        + """
rules:
- backendRefs:
  - {name: reviews-v1, port: 8000, weight: 1}
  - {name: reviews-v3, port: 8000, weight: 1}
""",
    ),
    Migration(
        "a timeout",
        """
hosts: [reviews]
http: [{route: [{destination: {host: reviews, subset: v2}}], timeout: 0.5s}]
""",
        _FROM_INSIDE
        + "rules: [{backendRefs: [{name: reviews-v2, port: 8000}], timeouts: {request: 500ms}}]",
    ),
    Migration(
        "copies of all requests",
        f"{_OUTSIDE}http: [{{route: [{_V1}], mirror: {{host: httpbin, subset: v2}}}}]",
        _FROM_OUTSIDE
        + f"""
rules:
- filters:
  - {{type: RequestMirror, requestMirror: {{backendRef: {{name: httpbin-v2, port: 8000}}}}}}
  backendRefs: [{_BACKEND}]
""",
    ),
    Migration(
        "two prefixes at the ingress",
        f"{_OUTSIDE}http: [{{match: [{{uri: {{prefix: /status}}}}, {{uri: {{prefix: /delay}}}}],"
        f" route: [{_V1}]}}]",
        _FROM_OUTSIDE
        + f"""
rules:
- matches: [{{path: {{value: /status}}}}, {{path: {{value: /delay}}}}]
  backendRefs: [{_BACKEND}]
""",
        # A prefix of Istio's also matches inside a segment.
        ("GET httpbin.example.com/delayx (and 1 class more): v1 100 % → 404",),
    ),
    Migration(
        "the same prefixes, as whole segments",
        f"{_OUTSIDE}http: [{{match: [{{uri: {{exact: /status}}}}, {{uri: {{prefix: /status/}}}}],"
        f" route: [{_V1}]}}]",
        _FROM_OUTSIDE
        + f"rules: [{{matches: [{{path: {{value: /status}}}}], backendRefs: [{_BACKEND}]}}]",
    ),
    Migration(
        "a redirect to another host",
        f"{_OUTSIDE}http: [{{match: [{{uri: {{exact: /old}}}}],"
        f" redirect: {{authority: www.example.com, redirectCode: 301}}}}, {{route: [{_V1}]}}]",
        _FROM_OUTSIDE
        + f"""
rules:
- matches: [{{path: {{type: Exact, value: /old}}}}]
  filters:
  - type: RequestRedirect
    requestRedirect: {{hostname: www.example.com, statusCode: 301}}
- backendRefs: [{_BACKEND}]
""",
    ),
    Migration(
        "a rewritten prefix",
        f"{_OUTSIDE}http: [{{match: [{{uri: {{exact: /shop}}}}, {{uri: {{prefix: /shop/}}}}],"
        f" rewrite: {{uri: /cart/}}, route: [{_V1}]}}]",
        _FROM_OUTSIDE
        + f"""
rules:
- matches: [{{path: {{value: /shop}}}}]
  filters:
  - type: URLRewrite
    urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /cart}}}}
  backendRefs: [{_BACKEND}]
""",
        # The exact path gets a slash from Istio's rewrite.
        ("GET httpbin.example.com/shop: path /cart/ → /cart",),
    ),
    Migration(
        "headers, a method and a parameter",
        f"""
{_OUTSIDE}
http:
- match: [{{method: {{exact: GET}}, headers: {{version: {{regex: "v[12]"}}}},
    queryParams: {{animal: {{exact: whale}}}}}}]
  headers: {{request: {{set: {{x-env: test}}, remove: [x-old]}}}}
  route: [{_V1}]
""",
        _FROM_OUTSIDE
        + f"""
rules:
- matches:
  - method: GET
    headers: [{{name: version, type: RegularExpression, value: "v[12]"}}]
    queryParams: [{{name: animal, value: whale}}]
  filters:
  - type: RequestHeaderModifier
    requestHeaderModifier: {{set: [{{name: x-env, value: test}}], remove: [x-old]}}
  backendRefs: [{_BACKEND}]
""",
    ),
)
