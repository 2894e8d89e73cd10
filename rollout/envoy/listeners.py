"""Envoy's listeners: for a Gateway port, for callers inside the mesh, and in front of a pod."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .access_log import access_log
from .configuration import Address, Resource
from .http_filters import http_filters
from .protobuf_json import LISTENER, extension, socket_address, typed
from .resource_names import MESH_LISTENER, MESH_ROUTES, listener_name

_CONNECTION_MANAGER: Final = (
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_INSPECTOR: Final = "envoy.filters.listener.tls_inspector"
_INSPECTOR_MESSAGE: Final = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"


def gateway_listener(port: int, address: Address, chains: Iterable[Resource]) -> dict[str, Any]:
    """Return the listener of a Gateway port. Envoy rejects two chains with one match."""
    return listener(listener_name(port), address, chains, direction="OUTBOUND")


def mesh_listener(address: Address) -> dict[str, Any]:
    """Return the listener for callers inside the mesh, whose headers Envoy trusts."""
    manager = connection_manager(
        MESH_LISTENER, {"rds": {"route_config_name": MESH_ROUTES}}, access_log=access_log()
    )
    chain = {"name": MESH_LISTENER, "filters": [manager]}
    return listener(MESH_LISTENER, address, [chain], direction="OUTBOUND")


def gateway_manager(port: int, routes: str, filters: Iterable[Resource]) -> dict[str, Any]:
    """Return a gateway's connection manager. It treats callers as external.

    Envoy removes internal headers of such callers, for example ``x-envoy-upstream-rq-timeout-ms``.
    ``filters`` are those of policies.
    """
    return connection_manager(
        listener_name(port),
        # ``with_routes`` adds the source.
        {"rds": {"route_config_name": routes}},
        filters,
        use_remote_address=True,
        server_name="istio-envoy",
        path_with_escaped_slashes_action="KEEP_UNCHANGED",
        forward_client_cert_details="SANITIZE_SET",
        http_protocol_options={},
        proxy_100_continue=True,
        access_log=access_log(),
    )


def connection_manager(
    name: str, routes: Resource, filters: Iterable[Resource] = (), **more: Any
) -> dict[str, Any]:
    """Return a connection manager; ``routes`` is its field ``rds`` or ``route_config``."""
    return extension(
        "envoy.filters.network.http_connection_manager",
        _CONNECTION_MANAGER,
        stat_prefix=name,
        **routes,
        normalize_path=True,
        stream_idle_timeout="0s",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        http_filters=[*filters, *http_filters()],
        **{"use_remote_address": False, **more},
    )


def listener(
    name: str, address: Address, chains: Iterable[Resource], *, direction: str
) -> dict[str, Any]:
    """Return a listener, which looks at TLS handshakes if a chain is chosen by them."""
    found = list(chains)
    inspected = any("filter_chain_match" in each for each in found)
    return typed(
        LISTENER,
        name=name,
        address=socket_address(address),
        traffic_direction=direction,
        filter_chains=found,
        **({"listener_filters": [extension(_INSPECTOR, _INSPECTOR_MESSAGE)]} if inspected else {}),
    )


def with_routes(listener: Resource, find: Callable[[str], Resource]) -> dict[str, Any]:
    """Return a listener with the sources of its routes.

    ``find`` takes the name of a route configuration and returns the field ``rds`` or
    ``route_config`` of the connection manager.
    """
    chains = [
        {**chain, "filters": [_with_routes(each, find) for each in chain["filters"]]}
        for chain in listener["filter_chains"]
    ]
    return {**listener, "filter_chains": chains}


def _with_routes(filter_: Resource, find: Callable[[str], Resource]) -> Resource:
    config: Mapping[str, Any] = filter_["typed_config"]
    if "rds" not in config:
        return filter_
    others = {name: each for name, each in config.items() if name != "rds"}
    return {**filter_, "typed_config": {**others, **find(config["rds"]["route_config_name"])}}
