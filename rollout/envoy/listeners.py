"""Where requests come in: a listener for each of the Gateways' ports, and one inside the mesh."""

from __future__ import annotations

from typing import Any, Final

from . import cors, faults
from .access_log import access_log
from .configuration import Address
from .endpoints import socket_address
from .names import MESH_LISTENER, MESH_ROUTES, listener_name, routes_name
from .protobuf import LISTENER, extension, typed

_MANAGER: Final = (
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_CORS: Final = "envoy.extensions.filters.http.cors.v3.Cors"
_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"


def gateway_listener(port: int, address: Address) -> dict[str, Any]:
    """Return the listener of a Gateway's port: callers are strangers, what they forge is dropped.

    So it is with ``x-envoy-upstream-rq-timeout-ms`` and its like.
    """
    return _listener(
        listener_name(port),
        address,
        routes_name(port),
        use_remote_address=True,
        server_name="istio-envoy",
    )


def mesh_listener(address: Address) -> dict[str, Any]:
    """Return the listener of callers inside the mesh, whose headers are trusted."""
    return _listener(MESH_LISTENER, address, MESH_ROUTES, use_remote_address=False)


def _listener(name: str, address: Address, routes: str, **manager: Any) -> dict[str, Any]:
    return typed(
        LISTENER,
        name=name,
        address=socket_address(address),
        traffic_direction="OUTBOUND",
        filter_chains=[
            {
                "name": name,
                "filters": [
                    extension(
                        "envoy.filters.network.http_connection_manager",
                        _MANAGER,
                        stat_prefix=name,
                        # Who writes the resources adds where the routes are found.
                        rds={"route_config_name": routes},
                        normalize_path=True,
                        stream_idle_timeout="0s",
                        upgrade_configs=[{"upgrade_type": "websocket"}],
                        access_log=access_log(),
                        http_filters=[
                            extension(faults.FILTER, faults.MESSAGE),
                            extension(cors.FILTER, _CORS),
                            extension("envoy.filters.http.router", _ROUTER),
                        ],
                        **manager,
                    )
                ],
            }
        ],
    )
