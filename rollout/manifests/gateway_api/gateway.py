"""Gateway, GatewayClass and ReferenceGrant of the Gateway API.

https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from ..field_types import Port
from ..metadata import IstioObject
from ..not_modelled import NotModelled
from ..strict_model import StrictModel
from .references import GATEWAY_API_GROUP, Name, SecretReference

#: The label with the name of a namespace, which Kubernetes sets.
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
_HANDSHAKE: Final = "the TLS handshake isn't checked"


class SelectorRequirement(StrictModel):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
        return self.key not in labels


class NamespaceSelector(StrictModel):
    """Kubernetes' LabelSelector, applied to namespaces."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[SelectorRequirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == each for key, each in self.match_labels.items()) and all(
            each.selects(labels) for each in self.match_expressions
        )


class RouteNamespaces(StrictModel):
    #: ``from`` is a word of Python's.
    from_: Annotated[Literal["All", "Selector", "Same"], Field(alias="from")] = "Same"
    selector: NamespaceSelector | None = None


class RouteKind(StrictModel):
    group: str = GATEWAY_API_GROUP
    kind: Name


class AllowedRoutes(StrictModel):
    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: tuple[RouteKind, ...] = ()


class ListenerTls(StrictModel):
    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: tuple[SecretReference, ...] = ()
    options: dict[str, str] = Field(default_factory=dict)


class Listener(StrictModel):
    """A port with a host, None for all hosts."""

    name: Name
    port: Port
    protocol: Annotated[
        Name,
        NotModelled(
            "a listener for other protocols than HTTP",
            "what it forwards isn't checked",
            frozenset({"TCP", "TLS", "UDP", "HBONE"}),
            changes_requests=False,
        ),
    ]
    hostname: Name | None = None
    tls: ListenerTls | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewayAddress(StrictModel):
    type: str = "IPAddress"
    value: str = ""


class GatewayTls(StrictModel):
    frontend: Annotated[
        Any, NotModelled("what callers' certificates are verified by", _HANDSHAKE)
    ] = None
    backend: Annotated[Any, NotModelled("the gateway's certificate for backends", _HANDSHAKE)] = (
        None
    )


class ApiGatewaySpec(StrictModel):
    gateway_class_name: Name
    listeners: Annotated[tuple[Listener, ...], Field(min_length=1, max_length=64)]
    addresses: tuple[GatewayAddress, ...] = ()
    #: How the gateway's own workload looks.
    infrastructure: Any = None
    allowed_listeners: Annotated[
        Any, NotModelled("listeners of ListenerSets", "what they listen on isn't checked")
    ] = None
    default_scope: Annotated[
        Literal["All", "None"] | None,
        NotModelled(
            "default Gateways", "which routes attach to it isn't checked", apart_from="None"
        ),
    ] = None
    tls: GatewayTls | None = None


class ApiGateway(IstioObject):
    spec: ApiGatewaySpec


class GatewayClassSpec(StrictModel):
    controller_name: Name
    description: str | None = None
    parameters_ref: Any = None


class GatewayClass(IstioObject):
    spec: GatewayClassSpec


class GrantFrom(StrictModel):
    group: str
    kind: Name
    namespace: Name


class GrantTo(StrictModel):
    """Without a name, all objects of the kind in the grant's namespace."""

    group: str
    kind: Name
    name: Name | None = None


class ReferenceGrantSpec(StrictModel):
    from_: Annotated[tuple[GrantFrom, ...], Field(alias="from", min_length=1)]
    to: Annotated[tuple[GrantTo, ...], Field(min_length=1)]


class ReferenceGrant(IstioObject):
    spec: ReferenceGrantSpec
