"""The objects from which istiod programs proxies: also those that it makes of the Gateway API's."""

from __future__ import annotations

from dataclasses import replace

from ..gateway_api.conversion import convert
from ..gateway_api.objects import GatewayApiObjects
from .configuration import Objects


def with_gateway_api(objects: Objects) -> Objects:
    """Return the objects with Gateways and VirtualServices in place of the Gateway API's."""
    api = objects.gateway_api
    if not (api.gateways or api.routes):
        return objects
    made = convert(api, objects.services, objects.service_entries)
    return replace(
        objects,
        gateways=(*objects.gateways, *made.gateways),
        virtual_services=(*objects.virtual_services, *made.virtual_services),
        gateway_api=GatewayApiObjects(),
    )
