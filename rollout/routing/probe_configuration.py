"""One Envoy for several views: it says which route took a request, and pods are one echo. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..envoy.configuration import Address, CertificateFiles, Resource
from ..envoy.protobuf_json import extension, socket_address, typed
from .view import ELSEWHERE, LISTENER, POD, View, routes_of

#: The response has the name of the route that took the request.
ROUTE: Final = "x-tallykv-route"
#: The request to the pod has the name of the cluster.
CLUSTER: Final = "x-tallykv-cluster"
#: The request to the pod has the milliseconds that Envoy waits, which a sidecar would remove.
TIMEOUT: Final = "x-tallykv-timeout"
_TIMEOUT: Final = "x-envoy-expected-rq-timeout-ms"
#: A number that decides between weighted destinations. Without it, chance does.
DRAW: Final = "x-tallykv-draw"
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MUTATION: Final = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_CODEC: Final = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
_FAULT: Final = "envoy.filters.http.fault"
_MANY: Final = 1_000_000
#: Istio's value. Envoy's default rejects regexes with a program size over 100.
_RUNTIME: Final = {
    "layers": [{"name": "istio", "static_layer": {"re2.max_program_size.error_level": 32768}}]
}

Files = Mapping[str, CertificateFiles]


def probe_bootstrap(
    views: Sequence[View],
    listeners: Mapping[tuple[int, int], Address],
    files: Sequence[Files],
    echo: Address,
    admin: Address,
) -> Resource:
    """Return a bootstrap with everything of all views.

    ``listeners`` has the address of each view's port, by the number of the view. ``files`` are the
    certificates of each view. Whatever a route names and does not exist is left missing: its
    requests are answered as in the mesh.
    """
    clusters: list[Resource] = []
    listening: list[Resource] = []
    for index, view in enumerate(views):
        names = _places(files[index])
        routes = {each["name"]: each for each in view.configuration.route_configurations}
        assignments = view.configuration.load_assignments
        for each in view.configuration.clusters:
            made = _cluster(each, assignments[each["name"]], index, echo)
            clusters.append(_with_files(made, names))
        for each in view.configuration.listeners:
            made = _listener(each, routes, index, listeners)
            listening.append(_with_files(made, names))
    resources = {"clusters": clusters, "listeners": listening}
    return {
        "node": {"id": "routing", "cluster": "routing"},
        "admin": {"address": socket_address(admin)},
        "layered_runtime": _RUNTIME,
        "static_resources": resources,
    }


def original_name(name: str) -> str:
    """Return the name of a cluster without the number of its view."""
    return name.partition("/")[2]


def _cluster(cluster: Resource, assignment: Resource, index: int, echo: Address) -> Resource:
    """Return a cluster that leads to the echo, if it has pods; other settings change no route."""
    name = f"{index}/{cluster['name']}"
    inside = str(cluster["name"]).startswith("inbound|")
    marks = {CLUSTER: cluster["name"], TIMEOUT: f"%REQ({_TIMEOUT})%"}
    mutations = [
        {
            "append": {
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        }
        for name, value in marks.items()
    ]
    marked = extension(
        "envoy.filters.http.header_mutation",
        _MUTATION,
        mutations={"request_mutations": mutations},
    )
    codec = extension("envoy.filters.http.upstream_codec", _CODEC)
    options = typed(
        _HTTP_OPTIONS,
        explicit_http_config={"http_protocol_options": {}},
        http_filters=[*([] if inside else [marked]), codec],
    )
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    kept = ("transport_socket", "transport_socket_matches")
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "typed_extension_protocol_options": {_HTTP_OPTIONS: options},
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, _MANY)]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [_endpoint(each, echo) for each in group["lb_endpoints"]]}
                for group in assignment["endpoints"]
            ],
        },
        **{key: cluster[key] for key in kept if key in cluster},
    }


def _endpoint(endpoint: Resource, echo: Address) -> Resource:
    address = endpoint["endpoint"]["address"]["socket_address"]["address"]
    if address.startswith(POD) or address == ELSEWHERE.host:
        return {**endpoint, "endpoint": {"address": socket_address(echo)}}
    return endpoint


def _listener(
    listener: Resource,
    routes: Mapping[str, Resource],
    index: int,
    listeners: Mapping[tuple[int, int], Address],
) -> dict[str, Any]:
    socket = listener["address"]["socket_address"]
    found = {name: each for name, each in listener.items() if name not in {"@type", "stat_prefix"}}
    if socket["address"] == LISTENER:
        found["address"] = socket_address(listeners[index, socket["port_value"]])
    found["name"] = f"{index}/{listener['name']}"
    found["filter_chains"] = [
        _filter_chain(each, routes, index) for each in listener["filter_chains"]
    ]
    return found


def _filter_chain(chain: Resource, routes: Mapping[str, Resource], index: int) -> Resource:
    name = routes_of(chain)
    filters = []
    for each in chain["filters"]:
        config = {key: one for key, one in each["typed_config"].items() if key != "access_log"}
        if name and "rds" in config:
            del config["rds"]
            config["route_config"] = _routes(routes[name], index)
        elif "route_config" in config:
            config["route_config"] = _renamed_clusters(config["route_config"], index)
        filters.append({**each, "typed_config": config})
    return {**chain, "filters": filters}


def _routes(routes: Resource, index: int) -> Resource:
    shown = {"header": {"key": ROUTE, "value": "%ROUTE_NAME%"}}
    hosts = [
        {**each, "include_attempt_count_in_response": True} for each in routes["virtual_hosts"]
    ]
    fields = {name: each for name, each in routes.items() if name != "@type"}
    # istiod sends the same. Without it, a route to a missing cluster stops a static Envoy.
    fields |= {"validate_clusters": False, "response_headers_to_add": [shown]}
    return _renamed_clusters({**fields, "virtual_hosts": hosts}, index)


def _renamed_clusters(routes: Resource, index: int) -> dict[str, Any]:
    return {
        **routes,
        "virtual_hosts": [
            {**host, "routes": [_route(each, index) for each in host["routes"]]}
            for host in routes["virtual_hosts"]
        ],
    }


def _route(route: Resource, index: int) -> Resource:
    filters = route.get("typed_per_filter_config", {})
    if "delay" in filters.get(_FAULT, {}):
        # To wait shows no route.
        fault = {name: each for name, each in filters[_FAULT].items() if name != "delay"}
        route = {**route, "typed_per_filter_config": {**filters, _FAULT: fault}}
    if "route" not in route:
        return route
    action = dict(route["route"])
    if "cluster" in action:
        action["cluster"] = f"{index}/{action['cluster']}"
    if "weighted_clusters" in action:
        weighted = action["weighted_clusters"]
        action["weighted_clusters"] = {
            **weighted,
            "header_name": DRAW,
            "clusters": [
                {**each, "name": f"{index}/{each['name']}"} for each in weighted["clusters"]
            ],
        }
    if "request_mirror_policies" in action:
        action["request_mirror_policies"] = [
            {**each, "cluster": f"{index}/{each['cluster']}"}
            for each in action["request_mirror_policies"]
        ]
    return {**route, "route": action}


def _places(files: Files) -> dict[str, str]:
    """Return the paths by the names that stand for them."""
    return {
        text: path
        for name, each in files.items()
        for text, path in ((f"chain of {name}", each.chain), (f"key of {name}", each.key))
    }


def _with_files(value: Any, paths: Mapping[str, str]) -> Any:
    """Return a resource with the paths of files in place of the names of secrets."""
    if not paths:
        return value
    if isinstance(value, dict):
        return {name: _with_files(each, paths) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_files(each, paths) for each in value]
    return paths.get(value, value) if isinstance(value, str) else value


def on_all(
    views: Sequence[View], allocate: Callable[[], Address]
) -> dict[tuple[int, int], Address]:
    """Return an address for each listener of each view."""
    return {
        (index, each["address"]["socket_address"]["port_value"]): allocate()
        for index, view in enumerate(views)
        for each in view.listeners
    }
