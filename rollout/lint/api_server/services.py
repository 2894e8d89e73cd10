"""Services and Ingresses as the API server accepts them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError
from ...manifests.json_path import PathSegments
from ...manifests.names import is_address, is_kubernetes_label, is_label_key, is_subdomain
from ...manifests.untyped import list_or_empty, mapping_or_empty
from .fields import bad, check_labels, check_port, check_target_port, items_of, missing

_EXTERNAL: Final = frozenset({"NodePort", "LoadBalancer"})
_TYPES: Final = _EXTERNAL | {"ClusterIP", "ExternalName"}
_PROTOCOLS: Final = frozenset({"TCP", "UDP", "SCTP"})


def service_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a Service."""
    spec = mapping_or_empty(document.get("spec"))
    kind = spec.get("type", "ClusterIP")
    at: PathSegments = ("spec",)
    if isinstance(kind, str) and kind not in _TYPES:
        yield bad((*at, "type"), f'"{kind}" is not a type', f"use {', '.join(sorted(_TYPES))}")
    address = spec.get("clusterIP")
    if isinstance(address, str) and address not in {"", "None"} and not is_address(address):
        yield bad((*at, "clusterIP"), f'"{address}" is not an IP address', "remove it")
    if kind == "ExternalName":
        name = spec.get("externalName")
        if not name:
            yield missing((*at, "externalName"), "an ExternalName needs a name", "add it")
        elif isinstance(name, str) and not is_subdomain(name.rstrip(".")):
            yield bad((*at, "externalName"), f'"{name}" is not a domain name', "write one")
    elif address != "None" and not list_or_empty(spec.get("ports")):
        yield missing((*at, "ports"), "the Service has no ports", "add them")
    yield from check_labels(spec.get("selector"), (*at, "selector"))
    if spec.get("externalTrafficPolicy") and kind not in _EXTERNAL:
        yield bad(
            (*at, "externalTrafficPolicy"),
            f"a Service of type {kind} can't have it",
            "remove it, or set type: LoadBalancer",
        )
    yield from _port_errors(spec, kind)


def _port_errors(spec: Mapping[str, Any], kind: Any) -> Iterator[FieldError]:
    ports = list(items_of(spec.get("ports"), ("spec", "ports")))
    names: set[Any] = set()
    numbers: set[tuple[Any, Any]] = set()
    for at, port in ports:
        name, protocol = port.get("name"), port.get("protocol", "TCP")
        yield from check_port(port.get("port"), (*at, "port"))
        yield from check_target_port(port.get("targetPort"), (*at, "targetPort"))
        if not name and len(ports) > 1:
            yield missing((*at, "name"), "with several ports, each needs a name", "add it")
        elif isinstance(name, str) and name and not is_kubernetes_label(name):
            yield bad((*at, "name"), f'"{name}" is not a name', "use a-z, 0-9 and -")
        elif name and name in names:
            yield bad((*at, "name"), f'another port is named "{name}"', "rename one of them")
        names.add(name if isinstance(name, str) else None)
        if isinstance(protocol, str) and protocol not in _PROTOCOLS:
            yield bad((*at, "protocol"), f'"{protocol}" is not a protocol', "use TCP, UDP or SCTP")
        key = (str(port.get("port")), str(protocol))
        if key in numbers:
            yield bad((*at, "port"), "another port has this number and protocol", "remove one")
        numbers.add(key)
        application = port.get("appProtocol")
        if isinstance(application, str) and application and not is_label_key(application):
            yield bad(
                (*at, "appProtocol"), f'"{application}" is not a name', "write NAME or DOMAIN/NAME"
            )
        node = port.get("nodePort")
        if node and kind not in _EXTERNAL:
            yield bad(
                (*at, "nodePort"), f"a Service of type {kind} can't have it", "set type: NodePort"
            )
        elif isinstance(node, int) and node and not 30000 <= node <= 32767:
            yield bad((*at, "nodePort"), f"{node} is not a node's port", "use 30000 to 32767")


def ingress_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of an Ingress."""
    spec = mapping_or_empty(document.get("spec"))
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield missing(("spec", "rules"), "there are neither rules nor a defaultBackend", "add one")
    for at, rule in items_of(spec.get("rules"), ("spec", "rules")):
        host = rule.get("host")
        if isinstance(host, str) and host and not is_subdomain(host.removeprefix("*.")):
            yield bad((*at, "host"), f'"{host}" is not a host', "write a domain name or *.domain")
        http = mapping_or_empty(rule.get("http"))
        for below, each in items_of(http.get("paths"), (*at, "http", "paths")):
            path, kind = each.get("path"), each.get("pathType")
            exact = kind in {"Exact", "Prefix"}
            if exact and not (isinstance(path, str) and path.startswith("/")):
                yield bad((*below, "path"), f'"{path}" is not a path', "begin it with /")
            service = mapping_or_empty(mapping_or_empty(each.get("backend")).get("service"))
            port = mapping_or_empty(service.get("port"))
            if service and bool(port.get("name")) == bool(port.get("number")):
                yield bad(
                    (*below, "backend", "service", "port"),
                    "the port needs either a name or a number",
                    "set one of them",
                )
            yield from check_port(
                port.get("number"), (*below, "backend", "service", "port", "number"), 0
            )
