"""The weights, pods, Services and routes of Flagger's Canary while a new version is released. Pure.

https://docs.flagger.app/usage/how-it-works
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..lint.flagger_canary import FlaggerCanary
from ..lint.resource import Resource
from ..manifests.untyped import list_or_empty, mapping_or_empty
from ..manifests.virtual_service import MESH
from .controlled_release import (
    ControlledRelease,
    copied,
    needed,
    not_modelled,
    percentages_of,
    pod_template,
)

#: The labels of a Deployment's selector of which Flagger takes the first.
_SELECTOR_LABELS: Final = ("app", "name", "app.kubernetes.io/name")
_CONTROLLED: Final = "requests are not split by weight alone"
#: Fields of the service that become fields of the only route.
_ROUTE_FIELDS: Final = ("match", "rewrite", "timeout", "retries", "corsPolicy", "headers")


def flagger_release(canary: FlaggerCanary, resources: Sequence[Resource]) -> ControlledRelease:
    """Return what Flagger does for a Canary; raise PlanInvalid for what can't be rehearsed."""
    owner = canary.resource
    service = mapping_or_empty(owner.spec.get("service"))
    analysis = mapping_or_empty(owner.spec.get("analysis"))
    provider = owner.spec.get("provider")
    if isinstance(provider, str) and not provider.startswith(("istio", "gatewayapi")):
        raise not_modelled(owner, "spec.provider", f"it is {provider}, not istio or gatewayapi")
    for name in ("iterations", "match", "mirror", "sessionAffinity"):
        if analysis.get(name):
            raise not_modelled(owner, f"spec.analysis.{name}", _CONTROLLED)
    unread = _ROUTE_FIELDS[1:] if canary.uses_gateway_api else ()
    for name in ("delegation", "mirror", *unread):
        if service.get(name):
            raise not_modelled(owner, f"spec.service.{name}", "how its route looks")
    _, kind, target = canary.target
    workload = needed(resources, owner, kind, target)
    label, value = _selector_label(owner, workload)
    routes = (
        _http_route(canary, service)
        if canary.uses_gateway_api
        else _virtual_service(canary, service)
    )
    return ControlledRelease(
        owner=owner,
        stable=f"{canary.name}-primary",
        canary=f"{canary.name}-canary",
        routes=(routes["kind"], owner.namespace, canary.name),
        rules=frozenset(),
        percentages=percentages_of(owner, "spec.analysis", weights_of(owner, analysis)),
        documents=(
            _primary(workload, label, value),
            *_services(canary, service, label, value),
            *_destination_rules(canary, service),
            routes,
        ),
        removed=frozenset(),
        notes=("its metrics and webhooks do not run: the rehearsal judges each step",),
    )


def weights_of(owner: Resource, analysis: Mapping[str, Any]) -> Sequence[Any]:
    """Return the canary's percentages as they are written; raise PlanInvalid without any."""
    if steps := list_or_empty(analysis.get("stepWeights")):
        return steps
    step, most = analysis.get("stepWeight"), analysis.get("maxWeight", 100)
    if not isinstance(step, int) or not isinstance(most, int) or step < 1:
        raise not_modelled(owner, "spec.analysis", "it has neither stepWeight nor stepWeights")
    return range(step, most + 1, step)


def _selector_label(owner: Resource, workload: Resource) -> tuple[str, str]:
    selector = mapping_or_empty(workload.spec.get("selector"))
    labels = mapping_or_empty(selector.get("matchLabels"))
    for name in _SELECTOR_LABELS:
        if name in labels:
            return name, str(labels[name])
    raise not_modelled(owner, "spec.targetRef", f"its selector has none of {_SELECTOR_LABELS}")


def _primary(workload: Resource, label: str, value: str) -> Mapping[str, Any]:
    """Return the copy of the workload that serves the present version."""
    document = copied(workload.document)
    document["metadata"] = {"name": f"{workload.name}-primary", "namespace": workload.namespace}
    own = {label: f"{value}-primary"}
    document["spec"]["selector"]["matchLabels"] |= own
    template = copied(pod_template(workload))
    labels = template["metadata"]["labels"]
    document["spec"]["template"] = {
        **template,
        "metadata": {**template["metadata"], "labels": {**labels, **own}},
    }
    return document


def _services(
    canary: FlaggerCanary, service: Mapping[str, Any], label: str, value: str
) -> Iterator[Mapping[str, Any]]:
    port = {
        "name": service.get("portName", "http"),
        "port": service.get("port"),
        "targetPort": service.get("targetPort", service.get("port")),
        **({"appProtocol": it} if (it := service.get("appProtocol")) else {}),
    }
    for suffix, selected in (("", "-primary"), ("-primary", "-primary"), ("-canary", "")):
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(canary, suffix),
            "spec": {"selector": {label: f"{value}{selected}"}, "ports": [port]},
        }


def _destination_rules(
    canary: FlaggerCanary, service: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    if canary.uses_gateway_api:
        return
    policy = service.get("trafficPolicy")
    for suffix in ("-primary", "-canary"):
        yield {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": _metadata(canary, suffix),
            "spec": {
                "host": f"{canary.name}{suffix}",
                **({"trafficPolicy": policy} if policy else {}),
            },
        }


def _virtual_service(canary: FlaggerCanary, service: Mapping[str, Any]) -> Mapping[str, Any]:
    hosts = list_or_empty(service.get("hosts"))
    known = {canary.name, "*"} & set(hosts)
    route = [
        {"destination": {"host": f"{canary.name}-primary"}, "weight": 100},
        {"destination": {"host": f"{canary.name}-canary"}, "weight": 0},
    ]
    fields = {name: service[name] for name in _ROUTE_FIELDS if service.get(name)}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": _metadata(canary),
        "spec": {
            "hosts": [*hosts, *(() if known else (canary.name,))],
            "gateways": list_or_empty(service.get("gateways")) or [MESH],
            "http": [{**fields, "route": route}],
        },
    }


def _http_route(canary: FlaggerCanary, service: Mapping[str, Any]) -> Mapping[str, Any]:
    matches = list_or_empty(service.get("match"))
    port = service.get("port")
    backends = [
        {"name": f"{canary.name}-primary", "port": port, "weight": 100},
        {"name": f"{canary.name}-canary", "port": port, "weight": 0},
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(canary),
        "spec": {
            "parentRefs": list_or_empty(service.get("gatewayRefs")),
            "hostnames": list_or_empty(service.get("hosts")),
            "rules": [{**({"matches": matches} if matches else {}), "backendRefs": backends}],
        },
    }


def _metadata(canary: FlaggerCanary, suffix: str = "") -> Mapping[str, Any]:
    return {"name": f"{canary.name}{suffix}", "namespace": canary.resource.namespace}
