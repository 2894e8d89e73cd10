"""The sidecars of pods in a rehearsal: they decide which requests reach the pod.

A pod has one only where a policy could refuse a request. Otherwise callers reach it directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..manifests.kubernetes import Workload
from .clusters import clusters
from .configuration import Address, LocalAddresses, LocalSidecar, Objects, PodPort, Resource
from .endpoints import load_assignment
from .gateway_api import with_gateway_api
from .listeners import connection_manager, listener
from .local_secrets import with_files
from .peer_modes import Mode, port_mode
from .protobuf_json import CLUSTER, extension, typed
from .proxy import Proxy, spiffe_id
from .request_policies import request_filters
from .scope import Scope
from .tls_secrets import MESH_TRUST, secret, validation
from .upstream_tls import mutual_socket

_TLS_CONTEXT: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
#: The beginning of the names of their listeners, and of these in statistics.
INBOUND: Final = "inbound"
#: On pods without a sidecar.
_INJECT: Final = "sidecar.istio.io/inject"
#: No port has this number. Envoy has no rule that never matches a port.
_NO_PORT: Final = {"not_rule": {"any": True}}


@dataclass(slots=True)
class Inbound:
    """The resources of all sidecars in front of pods."""

    listeners: list[Resource] = field(default_factory=list)
    clusters: list[Resource] = field(default_factory=list)
    load_assignments: dict[str, Resource] = field(default_factory=dict)


def guarded_ports(objects: Objects, proxy: Proxy) -> Mapping[PodPort, Mode]:
    """Return the ports of pods at which a policy could refuse a caller's request.

    It could if it asks about requests or tokens, or if the pod demands mutual TLS and the caller's
    cluster does not use it.
    """
    workloads = _workloads(objects)
    found: dict[PodPort, Mode] = {}
    for cluster in clusters(Scope(with_gateway_api(objects), proxy)):
        for each in (one for one in cluster.endpoints if isinstance(one, PodPort)):
            workload = workloads[each.namespace, each.workload]
            if workload.labels.get(_INJECT) == "false":
                continue
            mode = port_mode(
                workload.namespace, workload.labels, each.port, objects.peer_authentications
            )
            refused = mode == "STRICT" and mutual_socket(cluster.resource) is None
            if refused or request_filters(objects, workload.namespace, workload.labels):
                found[each] = mode
    return found


def identities(objects: Objects, ports: Mapping[PodPort, Mode]) -> tuple[str, ...]:
    """Return the SPIFFE IDs of the pods that have these ports."""
    workloads = _workloads(objects)
    return tuple(
        dict.fromkeys(_identity(workloads[each.namespace, each.workload]) for each in ports)
    )


def inbound(objects: Objects, local: LocalAddresses) -> Inbound:
    """Return the sidecars of ``local``: a listener, and a cluster with the pod, for each."""
    found = Inbound()
    workloads = _workloads(objects)
    for (pod, address), sidecar in local.sidecars.items():
        workload = workloads[pod.namespace, pod.workload]
        name = f"{INBOUND}|{pod.port}|{pod.workload}|{address.host}:{address.port}"
        found.listeners.append(_listener(name, pod, workload, sidecar, objects, local))
        found.clusters.append(_cluster(name))
        found.load_assignments[name] = load_assignment(name, [address], local)
    return found


def _workloads(objects: Objects) -> dict[tuple[str, str], Workload]:
    return {(each.namespace, each.name): each for each in objects.workloads}


def _identity(workload: Workload) -> str:
    return spiffe_id(workload.namespace, workload.service_account)


def _listener(
    name: str,
    pod: PodPort,
    workload: Workload,
    sidecar: LocalSidecar,
    objects: Objects,
    local: LocalAddresses,
) -> Resource:
    filters = [
        _at_port(each, pod.port, sidecar.address)
        for each in request_filters(objects, workload.namespace, workload.labels)
    ]
    manager = connection_manager(
        name,
        {"route_config": _routes(name)},
        filters,
        forward_client_cert_details="APPEND_FORWARD",
        set_current_client_cert_details={"subject": True, "dns": True, "uri": True},
        server_header_transformation="PASS_THROUGH",
    )
    encrypted = {
        "filter_chain_match": {"transport_protocol": "tls"},
        "transport_socket": with_files(_socket(_identity(workload)), local.certificates),
        "filters": [manager],
    }
    plain = {"filter_chain_match": {"transport_protocol": "raw_buffer"}, "filters": [manager]}
    chains = {"STRICT": [encrypted], "PERMISSIVE": [encrypted, plain], "DISABLE": [plain]}
    return listener(name, sidecar.address, chains[sidecar.mode], direction="INBOUND")


def _socket(identity: str) -> Resource:
    """Return the side of mutual TLS that demands the caller's certificate."""
    context = {
        "tls_certificate_sds_secret_configs": [secret(identity)],
        **validation(MESH_TRUST),
        "alpn_protocols": ["h2", "http/1.1"],
    }
    return extension(
        "envoy.transport_sockets.tls",
        _TLS_CONTEXT,
        common_tls_context=context,
        require_client_certificate=True,
    )


def _routes(cluster: str) -> Resource:
    action = {
        "cluster": cluster,
        "timeout": "0s",
        "retry_policy": {"retry_on": "reset-before-request", "num_retries": 2},
    }
    host = {"name": cluster, "domains": ["*"]}
    route = {"match": {"prefix": "/"}, "route": action}
    return {"name": cluster, "virtual_hosts": [{**host, "routes": [route]}]}


def _cluster(name: str) -> Resource:
    """Return a cluster that speaks to the pod as the caller did."""
    protocols: Resource = {"http_protocol_options": {}, "http2_protocol_options": {}}
    options = typed(_HTTP_OPTIONS, use_downstream_protocol_config=protocols)
    return typed(
        CLUSTER,
        name=name,
        type="EDS",
        eds_cluster_config={"service_name": name},
        alt_stat_name=name.replace("|", "_").replace(":", "_").replace(".", "_"),
        connect_timeout="10s",
        typed_extension_protocol_options={_HTTP_OPTIONS: options},
    )


def _at_port(rules: Any, port: int, address: Address) -> Any:
    """Return rules that hold for a pod's port at the address where its sidecar listens."""
    if isinstance(rules, dict):
        if "destination_port" in rules:
            here = rules["destination_port"] == port
            return {"destination_port": address.port} if here else _NO_PORT
        return {name: _at_port(each, port, address) for name, each in rules.items()}
    if isinstance(rules, list):
        return [_at_port(each, port, address) for each in rules]
    return rules
