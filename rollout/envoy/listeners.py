"""Envoy's listeners: one for each Gateway port, and one for callers inside the mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .access_log import access_log
from .configuration import Address, Resource
from .http_filters import http_filters
from .protobuf_json import LISTENER, extension, socket_address, typed
from .resource_names import MESH_LISTENER, MESH_ROUTES, listener_name, routes_name

_CONNECTION_MANAGER: Final = (
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)


def gateway_listener(
    port: int, address: Address, transport_socket: Resource | None = None
) -> dict[str, Any]:
    """Return the listener of a Gateway port, with the routes of all its servers.

    Without a transport socket it is plaintext.
    """
    name = listener_name(port)
    listener = _listener(name, address, gateway_manager(port, routes_name(port)))
    if transport_socket:
        listener["filter_chains"][0]["transport_socket"] = transport_socket
    return listener


def mesh_listener(address: Address) -> dict[str, Any]:
    """Return the listener for callers inside the mesh, whose headers Envoy trusts."""
    manager = _manager(MESH_LISTENER, MESH_ROUTES, use_remote_address=False)
    return _listener(MESH_LISTENER, address, manager)


def gateway_manager(port: int, routes: str) -> dict[str, Any]:
    """Return a gateway's connection manager. It treats callers as external.

    Envoy removes internal headers of such callers, for example ``x-envoy-upstream-rq-timeout-ms``.
    """
    return _manager(
        listener_name(port),
        routes,
        use_remote_address=True,
        server_name="istio-envoy",
        path_with_escaped_slashes_action="KEEP_UNCHANGED",
        forward_client_cert_details="SANITIZE_SET",
        http_protocol_options={},
        proxy_100_continue=True,
    )


def with_routes(listener: Resource, find: Callable[[str], Resource]) -> dict[str, Any]:
    """Return a listener with the source of its routes.

    ``find`` takes the name of a route configuration and returns the field ``rds`` or
    ``route_config`` of the connection manager.
    """
    [chain] = listener["filter_chains"]
    [manager] = chain["filters"]
    config = {**manager["typed_config"]}
    name = config.pop("rds")["route_config_name"]
    config |= find(name)
    return {
        **listener,
        "filter_chains": [{**chain, "filters": [{**manager, "typed_config": config}]}],
    }


def _listener(name: str, address: Address, manager: Resource) -> dict[str, Any]:
    return typed(
        LISTENER,
        name=name,
        address=socket_address(address),
        traffic_direction="OUTBOUND",
        filter_chains=[{"name": name, "filters": [manager]}],
    )


def _manager(name: str, routes: str, **more: Any) -> dict[str, Any]:
    return extension(
        "envoy.filters.network.http_connection_manager",
        _CONNECTION_MANAGER,
        stat_prefix=name,
        # ``with_routes`` adds the source.
        rds={"route_config_name": routes},
        normalize_path=True,
        stream_idle_timeout="0s",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        access_log=access_log(),
        http_filters=http_filters(),
        **more,
    )
