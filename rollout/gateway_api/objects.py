"""The Gateway API's objects that are applied, and what their references may lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..manifests.gateway_api.gateway import ApiGateway, GatewayClass, ReferenceGrant
from ..manifests.gateway_api.routes import ApiRoute


@dataclass(frozen=True, slots=True)
class GatewayApiObjects:
    """``namespaces`` has the labels of the namespaces that are known."""

    gateways: tuple[ApiGateway, ...] = ()
    classes: tuple[GatewayClass, ...] = ()
    routes: tuple[ApiRoute, ...] = ()
    grants: tuple[ReferenceGrant, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
