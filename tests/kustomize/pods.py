"""The pods of a rendering and those around it, and which of them have business together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.kustomize.installations import Objects
from tests.support.manifests import (
    containers,
    templates,
)

HERE: Final = "shop"


@dataclass(frozen=True)
class Pod:
    """A client or a server; ``ports`` maps names to (number, protocol)."""

    name: str
    namespace: str
    labels: dict[str, str]
    ports: dict[str, tuple[int, str]]
    principal: str = ""


OUTSIDE: Final = (
    Pod("gateway", "istio-system", {"istio": "ingressgateway"}, {}),
    Pod("charts gateway", "istio-ingress", {"istio": "ingress"}, {}),
    Pod(
        "istiod", "istio-system", {"app": "istiod"}, {"xds": (15012, "TCP"), "debug": (8080, "TCP")}
    ),
    Pod("prometheus", "monitoring", {}, {"web": (9090, "TCP")}),
    Pod("collector", "observability", {}, {"otlp": (4318, "TCP"), "grpc": (4317, "TCP")}),
    Pod("dns", "kube-system", {}, {"dns": (53, "UDP"), "dns-tcp": (53, "TCP")}),
    Pod("stranger", HERE, {"app": "stranger"}, {"http": (8080, "TCP"), "redis": (6379, "TCP")}),
    Pod("foreigner", "elsewhere", {"app": "kv"}, {"redis": (6379, "TCP")}),
)


def inside(objects: Objects) -> Iterator[Pod]:
    for owner, template in templates(objects):
        ports = {
            port["name"]: (port["containerPort"], port.get("protocol", "TCP"))
            for container in containers(template)
            for port in container["ports"]
        }
        account = template["spec"]["serviceAccountName"]
        yield Pod(
            owner["metadata"]["name"],
            HERE,
            template["metadata"]["labels"],
            ports,
            f"cluster.local/ns/{HERE}/sa/{account}",
        )


def pod_named(pods: tuple[Pod, ...], name: str) -> Pod:
    (found,) = [pod for pod in pods if pod.name == name]
    return found


def expected_connections(pods: list[Pod]) -> set[tuple[str, str, int]]:
    """Return the necessary connections as (client, server, port)."""
    store = {pod.name for pod in pods} & {"redis", "sentinel"}
    ports = {pod.name: {number for number, _ in pod.ports.values()} for pod in pods}
    reach = {(gateway, "kv", 8080) for gateway in ("gateway", "charts gateway")}
    reach |= {("prometheus", "kv", 9102), ("kv", "collector", 4318)}
    for name in ("kv", *store):
        reach |= {(name, "dns", 53), (name, "istiod", 15012)}
    for whom in store:
        reach |= {("kv", whom, port) for port in ports[whom] - {16379}}
        reach |= {(who, whom, port) for who in store for port in ports[whom]}
    return reach
