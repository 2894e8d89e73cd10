"""Virtual hosts and the configurations that hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .configuration import Resource
from .protobuf import ROUTE_CONFIGURATION, typed

#: A megabyte, where Envoy would take 4 KiB; Istio's webhook has the same limit.
_MAX_DIRECT_RESPONSE_BYTES: Final = 1024 * 1024


def virtual_host(
    name: str, domains: Iterable[str], routes: Iterable[Resource], *, require_tls: bool = False
) -> dict[str, Any]:
    """Return a virtual host; ``require_tls`` redirects whatever comes in plaintext to https."""
    return {
        "name": name,
        "domains": list(domains),
        "routes": list(routes),
        "include_request_attempt_count": True,
        **({"require_tls": "ALL"} if require_tls else {}),
    }


def route_configuration(name: str, hosts: Iterable[Resource], *, any_port: bool) -> dict[str, Any]:
    """Return a route configuration; with ``any_port`` a host is the same at whatever port.

    A route may lead to a cluster that isn't there: its requests fail with NC, as in the mesh.
    """
    found = sorted(hosts, key=lambda each: str(each["name"]))
    return typed(
        ROUTE_CONFIGURATION,
        name=name,
        virtual_hosts=found or [virtual_host("blackhole", ["*"], [])],
        validate_clusters=False,
        max_direct_response_body_size_bytes=_MAX_DIRECT_RESPONSE_BYTES,
        **({"ignore_port_in_host_matching": True} if any_port else {}),
    )
