"""Our own answer to a case, in the form of its facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollout.envoy.configuration import Address, Objects, PodPort
from rollout.envoy.proxy import Proxy
from rollout.envoy.translation import ProxyConfiguration, translate
from rollout.manifests.hosts import ServiceName
from rollout.rehearsal.applied_manifests import read_applied_manifests

from .cases import Case
from .facts import chain_facts, cluster_facts, host_facts, routes_facts, tcp_facts

#: The first pod has the address 10.1.0.12, the first Service 10.9.0.1.
_FIRST_POD = 12


@dataclass(frozen=True)
class _Addresses:
    pods: Mapping[tuple[str, str], str]
    services: Mapping[str, str]

    def of(self, endpoint: PodPort | Address) -> str:
        if isinstance(endpoint, Address):
            return f"{endpoint.host}:{endpoint.port}"
        return f"{self.pods[endpoint.namespace, endpoint.workload]}:{endpoint.port}"


def our_facts(case: Case) -> dict[str, Any]:
    """Translate a case for each proxy that its facts name."""
    objects = read_applied_manifests(case.documents).objects
    addresses = _addresses(objects)
    return {
        "gateways": {
            name: _gateway(translate(objects, _gateway_proxy(name)), addresses)
            for name in case.facts["gateways"]
        },
        "sidecars": {
            name: _sidecar(translate(objects, _sidecar_proxy(name, objects)), addresses)
            for name in case.facts["sidecars"]
        },
    }


def istio_facts(case: Case) -> dict[str, Any]:
    """Return the facts of a case with all clusters of each proxy in full."""
    gateways: dict[str, Any] = {}
    common: Mapping[str, Any] = {}
    for name, found in case.facts["gateways"].items():
        gateways[name] = _with_all_clusters(found, common)
        common = common or gateways[name]["clusters"]
    sidecars: dict[str, Any] = {}
    for name, found in case.facts["sidecars"].items():
        sidecars[name] = (
            sidecars[found] if isinstance(found, str) else _with_all_clusters(found, common)
        )
    return {"gateways": gateways, "sidecars": sidecars}


def _with_all_clusters(found: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: each for name, each in found.items() if not name.startswith("clusters")}
    absent = found.get("clusters_absent", ())
    if "tcp" in fields:
        fields["tcp"] = _sorted(fields["tcp"])
    fields["clusters"] = {
        **{name: each for name, each in common.items() if name not in absent},
        **found.get("clusters", {}),
        **found.get("clusters_other_than_gateway", {}),
    }
    return fields


def _gateway_proxy(name: str) -> Proxy:
    labels = name.partition(":")[2] or "istio=ingressgateway"
    return Proxy.gateway(dict(each.split("=", 1) for each in labels.split(",")))


def _sidecar_proxy(name: str, objects: Objects) -> Proxy:
    own = objects.services[0].namespace if objects.services else "default"
    return Proxy.sidecar(own if name == "sidecar" else "elsewhere", {"app": "caller"})


def _addresses(objects: Objects) -> _Addresses:
    return _Addresses(
        {
            (each.namespace, each.name): f"10.1.0.{_FIRST_POD + index}"
            for index, each in enumerate(objects.workloads)
        },
        {
            ServiceName(each.namespace, each.name).host: f"10.9.0.{1 + index}"
            for index, each in enumerate(objects.services)
        },
    )


def _clusters(configuration: ProxyConfiguration, addresses: _Addresses) -> dict[str, Any]:
    return {
        each.name: cluster_facts(each.resource, [addresses.of(one) for one in each.endpoints])
        for each in configuration.clusters
    }


def _gateway(configuration: ProxyConfiguration, addresses: _Addresses) -> dict[str, Any]:
    return {
        "ports": {
            str(port): [chain_facts(each) for each in chains]
            for port, chains in configuration.chains.items()
        },
        "routes": {name: routes_facts(each) for name, each in configuration.routes.items()},
        "clusters": _clusters(configuration, addresses),
    }


def _sidecar(configuration: ProxyConfiguration, addresses: _Addresses) -> dict[str, Any]:
    return {
        "routes": {str(port): host_facts(hosts) for port, hosts in configuration.hosts.items()},
        "tcp": _sorted(
            {
                "listener": f"{each.address or addresses.services[each.host]}_{each.port}",
                **tcp_facts(chain),
            }
            for each in configuration.tcp
            for chain in each.chains
        ),
        "clusters": _clusters(configuration, addresses),
    }


def _sorted(listeners: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(listeners, key=lambda each: str(each["listener"]))
