"""Callers, and what the translation of an example mesh gives them."""

from __future__ import annotations

from typing import Any, Final

from rollout.envoy.proxy import Proxy
from rollout.envoy.translation import ProxyConfiguration, translate
from tests.rollout.envoy.example_mesh import KV_MANIFESTS, documents, read_objects

NETWORKING: Final = "apiVersion: networking.istio.io/v1"
ROUTE: Final = "{name: %s, directResponse: {status: 200}}"
REST: Final = "{name: rest, directResponse: {status: 404}}"
IN_SHOP: Final = Proxy.sidecar("shop", {"app": "caller"})
ELSEWHERE: Final = Proxy.sidecar("elsewhere")
EDGE: Final = Proxy.gateway({"istio": "ingressgateway"})


def seen(proxy: Proxy, *texts: str) -> ProxyConfiguration:
    return translate(read_objects(documents(KV_MANIFESTS, *texts)), proxy)


def routes(proxy: Proxy, *texts: str, host: str = "kv.shop.svc.cluster.local") -> list[Any]:
    hosts = seen(proxy, *texts).hosts[8080]
    [found] = [each for each in hosts if host in each["domains"]]
    return [each.get("name", "") for each in found["routes"]]


def rule(name: str, namespace: str, algorithm: str, more: str = "") -> str:
    return f"""
        {NETWORKING}
        kind: DestinationRule
        metadata: {{name: {name}, namespace: {namespace}}}
        spec:
          host: kv.shop.svc.cluster.local
          trafficPolicy: {{loadBalancer: {{simple: {algorithm}}}}}
          {more}
    """


def virtual(name: str, spec: str, namespace: str = "shop", created: str = "") -> str:
    age = f", creationTimestamp: '{created}'" if created else ""
    return f"""
        {NETWORKING}
        kind: VirtualService
        metadata: {{name: {name}, namespace: {namespace}{age}}}
        spec: {spec}
    """


def answer(name: str, more: str = "") -> str:
    return f"{{hosts: [kv.shop.svc.cluster.local], http: [{ROUTE % name}]{more}}}"
