"""The listeners of Gateways that Istio programs, each as a Gateway of Istio's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..manifests.gateway import Gateway
from ..manifests.gateway_api.gateway import (
    NAMESPACE_NAME,
    ApiGateway,
    GatewayClass,
    Listener,
    ListenerTls,
)
from ..manifests.gateway_api.references import GATEWAY_API_GROUP
from ..manifests.kubernetes import Service
from ..manifests.server_tls import ServerTls
from .grants import Grants
from .internal_objects import internal_gateway
from .objects import GatewayApiObjects

#: The class that exists without an object, and what owns Istio's classes.
_DEFAULT_CLASS: Final = "istio"
_CONTROLLER: Final = "istio.io/gateway-controller"
#: The label of the pods that istiod runs for a Gateway.
_GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"
#: Protocols of listeners that have HTTP routes.
_HTTP: Final = frozenset({"HTTP", "HTTPS"})
_ROUTES: Final = frozenset({"HTTPRoute", "GRPCRoute"})
#: Envoy takes one for each kind of key.
_MAX_CERTIFICATES: Final = 2
_TERMINATE_MODE: Final = "gateway.istio.io/tls-terminate-mode"


@dataclass(frozen=True, slots=True)
class ListenerParent:
    """A listener, and the Gateway of Istio's that it becomes."""

    owner: ApiGateway
    listener: Listener
    gateway: Gateway

    @property
    def name(self) -> str:
        return f"{self.gateway.namespace}/{self.gateway.name}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return ``namespace/host`` for each namespace whose routes may attach."""
        return self.gateway.spec.servers[0].hosts

    @property
    def hostname(self) -> str:
        """Return the host as it is written, empty for all hosts."""
        return self.listener.hostname or ""

    def allows_kind(self, kind: str) -> bool:
        kinds = self.listener.allowed_routes.kinds
        return kind in _ROUTES and (
            not kinds
            or any(each.kind == kind and each.group == GATEWAY_API_GROUP for each in kinds)
        )


def is_istio_class(name: str, classes: Iterable[GatewayClass]) -> bool:
    """Return True if Istio programs the Gateways of a class."""
    controllers = {each.name: each.spec.controller_name for each in classes}
    return controllers.get(name, _CONTROLLER if name == _DEFAULT_CLASS else "") == _CONTROLLER


def listener_parents(
    api: GatewayApiObjects, services: Iterable[Service]
) -> Iterator[ListenerParent]:
    """Yield the listeners for HTTP; one whose certificates may not be used is left out."""
    grants = Grants(api.grants)
    by_name = {(each.namespace, each.name): each for each in services}
    for gateway in api.gateways:
        if not is_istio_class(gateway.spec.gateway_class_name, api.classes):
            continue
        for listener in gateway.spec.listeners:
            if listener.protocol not in _HTTP:
                continue
            tls = None
            if listener.tls:
                tls = _tls(gateway, listener.tls, grants)
                if tls is None:
                    continue
            host = listener.hostname or "*"
            namespaces = [*_namespaces(gateway, listener, api.namespaces)] or ["~"]
            made = internal_gateway(
                gateway,
                listener.name,
                port=listener.port,
                protocol=listener.protocol,
                hosts=[f"{each}/{host}" for each in namespaces],
                tls=tls,
                selector=_selector(gateway, by_name),
            )
            yield ListenerParent(gateway, listener, made)


def _namespaces(
    gateway: ApiGateway, listener: Listener, labels: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    allowed = listener.allowed_routes.namespaces
    if allowed.from_ == "Same":
        yield gateway.namespace
    elif allowed.from_ == "All" or allowed.selector is None:
        yield "*"
    else:
        for name in sorted(labels):
            if allowed.selector.selects({NAMESPACE_NAME: name, **labels[name]}):
                yield name


def _selector(gateway: ApiGateway, services: Mapping[tuple[str, str], Service]) -> dict[str, str]:
    """Return the labels of the Gateway's pods: istiod's own, or those of a Service's address."""
    for address in gateway.spec.addresses:
        if address.type == "Hostname":
            name, _, rest = address.value.partition(".")
            namespace = rest.partition(".")[0] or gateway.namespace
            if service := services.get((namespace, name)):
                return dict(service.selector)
    return {_GATEWAY_NAME: gateway.name}


def _tls(gateway: ApiGateway, tls: ListenerTls, grants: Grants) -> ServerTls | None:
    """Return how a listener decrypts; None if none of its certificates may be used."""
    if tls.mode == "Passthrough":
        return ServerTls.model_construct(mode="PASSTHROUGH")
    option = tls.options.get(_TERMINATE_MODE, "")
    if option == "ISTIO_MUTUAL":
        return ServerTls.model_construct(mode="ISTIO_MUTUAL")
    if option == "ISTIO_SIMPLE":
        return ServerTls.model_construct(mode="SIMPLE", credential_name="builtin://")
    mode = option if option in {"MUTUAL", "OPTIONAL_MUTUAL"} else "SIMPLE"
    names = [
        f"kubernetes-gateway://{each.namespace or gateway.namespace}/{each.name}"
        for each in tls.certificate_refs
        if each.kind == "Secret" and not each.group and grants.allow(gateway, each)
    ]
    if not names or len(tls.certificate_refs) > _MAX_CERTIFICATES:
        return None
    if len(names) == 1:
        return ServerTls.model_construct(mode=mode, credential_name=names[0])
    return ServerTls.model_construct(mode=mode, credential_names=tuple(names))
