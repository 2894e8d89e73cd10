"""Envoy's resources in the compact form of the facts, without names, statistics and types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollout.envoy.l4_routes import L4Chain

Resource = Mapping[str, Any]
#: Of a connection manager: what is left out of the facts.
_NOT_FACTS = {"@type", "stat_prefix", "rds", "access_log", "upgrade_configs", "http_filters"}
#: Of a cluster: what has a form of its own in the facts.
_OF_THE_TRANSPORT = {
    "transport_socket",
    "transport_socket_matches",
    "typed_extension_protocol_options",
}


def chain_facts(chain: Resource) -> dict[str, Any]:
    """Return the facts of a gateway's filter chain."""
    names = chain.get("filter_chain_match", {}).get("server_names")
    socket = chain.get("transport_socket")
    [filter_] = chain["filters"]
    config = filter_["typed_config"]
    return {
        **({"sni": list(names)} if names else {}),
        **({"tls": _tls(socket)} if socket else {}),
        **(_http(config) if "http_filters" in config else _tcp(config)),
    }


def tcp_facts(chain: L4Chain) -> dict[str, Any]:
    """Return the facts of a sidecar's TCP proxy."""
    return {
        **({"sni": list(chain.server_names)} if chain.server_names else {}),
        **({"subnets": list(chain.subnets)} if chain.subnets else {}),
        **_tcp(chain.tcp_proxy["typed_config"]),
    }


def routes_facts(configuration: Resource) -> dict[str, Any]:
    """Return the facts of a gateway's route configuration."""
    return {
        "ignore_port": configuration.get("ignore_port_in_host_matching", False),
        "hosts": host_facts(configuration["virtual_hosts"]),
    }


def host_facts(hosts: Iterable[Resource]) -> dict[str, Any]:
    """Return the facts of virtual hosts, by domain."""
    return {domain: _host(each) for each in hosts for domain in each["domains"]}


def cluster_facts(cluster: Resource, endpoints: Sequence[str]) -> dict[str, Any]:
    """Return the facts of a cluster and its endpoints."""
    fields = {
        name: _without_types(each)
        for name, each in cluster.items()
        if name not in {"@type", "name", *_OF_THE_TRANSPORT}
    }
    matches = cluster.get("transport_socket_matches")
    socket = cluster.get("transport_socket")
    options = list(cluster.get("typed_extension_protocol_options", {}).values())
    return {
        **fields,
        **({"http_options": _without_types(options[0])} if options else {}),
        **({"tls": [_match(each) for each in matches]} if matches else {}),
        **({"tls": _tls(socket)} if socket else {}),
        **({"endpoints": sorted(endpoints)} if cluster["type"] != "ORIGINAL_DST" else {}),
    }


def _host(host: Resource) -> Any:
    require = host.get("require_tls")
    if not host["routes"] and not require:
        return "404"
    return {
        "routes": [_route(each) for each in host["routes"]],
        **({"require_tls": require} if require else {}),
        "attempt_count": host["include_request_attempt_count"],
    }


def _route(route: Resource) -> dict[str, Any]:
    found = {name: each for name, each in _without_types(route).items() if name != "name"}
    policy = found.get("route", {}).get("retry_policy", {})
    if predicates := policy.get("retry_host_predicate"):
        names = [each["name"].rpartition(".")[2] for each in predicates]
        found["route"]["retry_policy"] = {**policy, "retry_host_predicate": names}
    return found


def _http(manager: Resource) -> dict[str, Any]:
    return {
        "http": {
            **{name: each for name, each in manager.items() if name not in _NOT_FACTS},
            "upgrades": [each["upgrade_type"] for each in manager["upgrade_configs"]],
            "filters": [each["name"] for each in manager["http_filters"]],
        },
        "routes": manager["rds"]["route_config_name"],
    }


def _tcp(proxy: Resource) -> dict[str, Any]:
    return {"tcp": proxy.get("cluster") or proxy["weighted_clusters"]}


def _match(match: Resource) -> dict[str, Any]:
    return {**_tls(match["transport_socket"]), "for": match["match"] or "others"}


def _tls(socket: Resource) -> dict[str, Any]:
    config = socket["typed_config"]
    name = socket["name"].rpartition(".")[2]
    if "transport_socket" in config:
        return {"name": name, "inner": _tls(config["transport_socket"])}
    context = config.get("common_tls_context")
    if context is None:
        return {"name": name}
    certificates = [each["name"] for each in context.get("tls_certificate_sds_secret_configs", ())]
    trust = context.get("combined_validation_context", {})
    validation = trust.get("validation_context_sds_secret_config", {}).get("name")
    names = trust.get("default_validation_context", {}).get("match_subject_alt_names")
    required = config.get("require_client_certificate")
    return {
        "name": name,
        **({"require_client_certificate": required} if required is not None else {}),
        **({"certificates": certificates} if certificates else {}),
        **({"alpn": context["alpn_protocols"]} if "alpn_protocols" in context else {}),
        **({"validation": validation} if validation else {}),
        **({"subject_alt_names": names} if names else {}),
        **({"sni": config["sni"]} if config.get("sni") else {}),
    }


def _without_types(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_types(each) for name, each in value.items() if name != "@type"}
    if isinstance(value, (list, tuple)):
        return [_without_types(each) for each in value]
    return value
