"""Rules for a Gateway's servers: TLS, certificates, conflicts, and the pods that run them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ...manifests.kubernetes import Service, ServicePort, Workload
from ..context import LintContext
from ..findings import Severity
from ..gateway_servers import (
    GatewayServer,
    Selector,
    gateway_servers,
    is_istio_gateway,
    selector_of,
)
from ..pod_index import PodIndex
from ..resource import Resource
from ..rule import Problem, Rule


def _servers(resources: tuple[Resource, ...]) -> Iterator[GatewayServer]:
    for resource in resources:
        if is_istio_gateway(resource):
            yield from gateway_servers(resource)


def gateway_tls_mode(context: LintContext) -> Iterator[Problem]:
    for server in _servers(context.checked):
        if server.passes_through and not server.mode and not server.redirects:
            yield Problem(
                server.gateway,
                f"{server.path}.tls.mode",
                "tls has no mode, and the default is PASSTHROUGH: the gateway forwards encrypted"
                f" bytes, so no HTTP route applies to port {server.number} and its certificate is"
                " not used",
                "set mode: SIMPLE, or PASSTHROUGH if the routes are under tls",
            )


def gateway_without_http(context: LintContext) -> Iterator[Problem]:
    servers: dict[str, list[GatewayServer]] = {}
    for server in _servers(context.everything):
        name = f"{server.gateway.namespace}/{server.gateway.name}"
        servers.setdefault(name, []).append(server)
    for resource, service in context.virtual_services():
        if not service.spec.http:
            continue
        for index, written in enumerate(service.spec.gateways):
            matching = [
                server
                for server in servers.get(service.qualify(written), ())
                if any(server.admits(host, service.namespace) for host in service.spec.hosts)
            ]
            if matching and not any(it.routes_http or it.redirects for it in matching):
                ports = ", ".join(
                    f"{it.number} ({it.protocol}{', no TLS termination' * it.passes_through})"
                    for it in matching
                )
                yield Problem(
                    resource,
                    service.spec.json_path("gateways", index),
                    f"the HTTP routes don't apply at Gateway {written}: for these hosts it has only"
                    f" port {ports}, where requests are not read as HTTP",
                    "terminate TLS there (mode: SIMPLE), or use routes under tls or tcp",
                )


def certificate_shared(context: LintContext) -> Iterator[Problem]:
    first: dict[tuple[str, Selector, int, str], GatewayServer] = {}
    for server in _servers(context.oldest_first):
        for certificate in server.certificates if server.terminates_tls else ():
            # The Secret is looked up in the namespace of the proxy, which the selector stands for.
            key = (
                server.gateway.namespace,
                selector_of(server.gateway),
                server.number,
                certificate,
            )
            other = first.setdefault(key, server)
            if set(other.domains) == set(server.domains) or not context.is_checked(server.gateway):
                continue
            name = f"{other.gateway.namespace}/{other.gateway.name}"
            yield Problem(
                server.gateway,
                f"{server.path}.tls",
                f'the certificate "{certificate}" is also that of {", ".join(other.domains)} at'
                f" Gateway {name}: a browser may send requests for {', '.join(server.domains)} over"
                " an HTTP/2 connection to the other host, and gets 404 or 421",
                "use one server with all of these hosts, or a certificate for each",
            )


def gateway_server_ignored(context: LintContext) -> Iterator[Problem]:
    plain: dict[tuple[Selector, int, str], GatewayServer] = {}
    encrypted: dict[tuple[Selector, int, str, str], GatewayServer] = {}
    # Older Gateways come first, and of the same age those with the lower name.
    ordered = sorted(
        _servers(context.oldest_first),
        key=lambda it: (context.is_checked(it.gateway), it.gateway.namespace, it.gateway.name),
    )
    for server in ordered:
        port = (selector_of(server.gateway), server.number, server.bind)
        if not _encrypted(server):
            first = plain.setdefault(port, server)
            if first.routes_http != server.routes_http and context.is_checked(server.gateway):
                yield _ignored(server, first, f"reads {first.protocol} there")
            continue
        for domain in server.hosts:
            other = encrypted.setdefault((*port, domain), server)
            if other is not server and context.is_checked(server.gateway):
                yield _ignored(server, other, f'has the host "{domain}" there too')
                break


def _encrypted(server: GatewayServer) -> bool:
    return server.protocol in {"HTTPS", "TLS"}


def _ignored(server: GatewayServer, other: GatewayServer, why: str) -> Problem:
    name = f"{other.gateway.namespace}/{other.gateway.name}"
    return Problem(
        server.gateway,
        server.path,
        f"port {server.number} ({server.protocol}) of the same proxies belongs to Gateway {name},"
        f" which {why}; Istio ignores this server, by age and then by name, and its routes with it",
        "use another port or host, or merge the servers",
    )


#: Labels by which Istio's charts name gateways.
_GATEWAY_LABELS: Final = ("istio", "app")


def _is_gateway_pod(workload: Workload) -> bool:
    return any("gateway" in workload.labels.get(key, "") for key in _GATEWAY_LABELS)


def gateway_selects_nothing(context: LintContext) -> Iterator[Problem]:
    index = PodIndex(context.everything)
    known = [pod for _, pod in index.workloads if _is_gateway_pod(pod)]
    for resource in context.checked:
        if not known or not is_istio_gateway(resource):
            continue
        selector = selector_of(resource)
        if next(index.pods(dict(selector)), None) is None:
            names = ", ".join(f"{it.kind} {it.namespace}/{it.name}" for it in known[:3])
            labels = ", ".join(f"{key}={value}" for key, value in sorted(selector))
            yield Problem(
                resource,
                "spec.selector",
                f"no pod has the labels {labels}, so no proxy listens for this Gateway; the"
                f" gateways in the input are {names}",
                "correct the selector, or pass the manifests of the proxy by --with",
            )


def gateway_port_closed(context: LintContext) -> Iterator[Problem]:
    index = PodIndex(context.everything)
    found: dict[Selector, dict[int, Service]] = {}
    listening: dict[Selector, list[Workload]] = {}
    for server in _servers(context.checked):
        selector = selector_of(server.gateway)
        if selector and selector not in found:
            labels = dict(selector)
            pods = [pod for _, pod in index.pods(labels)]
            services = [service for _, service in index.services_selecting(labels)]
            for pod in pods:
                services += (service for _, service in index.services(pod))
            found[selector] = {id(each): each for each in services}
            listening[selector] = pods
        opened = found.get(selector, {}).values()
        if opened and not any(
            _leads_to(port, server.number, listening[selector])
            for service in opened
            for port in service.ports
        ):
            names = ", ".join(
                f"{it.namespace}/{it.name} ({', '.join(str(port.number) for port in it.ports)})"
                for it in opened
            )
            yield Problem(
                server.gateway,
                f"{server.path}.port.number",
                f"the Service of the gateway's pods has no port or targetPort {server.number}:"
                f" {names}; callers can't connect to it",
                "add the port to the Service, or use one that it has",
            )


def _leads_to(port: ServicePort, number: int, pods: Iterable[Workload]) -> bool:
    """Return True if a port of a Service leads to a Gateway's server with this number.

    Without a Service's port of that number, the proxies listen on the number itself.
    """
    named = (pod.ports.get(number) for pod in pods)
    return number in {port.number, port.target} or (
        isinstance(port.target, str) and port.target in named
    )


RULES: Final = (
    Rule(
        "gateway-tls-mode",
        Severity.WARNING,
        "a server with tls should set its mode",
        gateway_tls_mode,
    ),
    Rule(
        "gateway-without-http",
        Severity.ERROR,
        "a Gateway must read requests as HTTP for the HTTP routes that are bound to it",
        gateway_without_http,
    ),
    Rule(
        "certificate-shared",
        Severity.WARNING,
        "servers of different hosts should not share a certificate",
        certificate_shared,
    ),
    Rule(
        "gateway-server-ignored",
        Severity.ERROR,
        "two Gateways of the same proxies must not claim the same port or encrypted host",
        gateway_server_ignored,
    ),
    Rule(
        "gateway-selects-nothing",
        Severity.WARNING,
        "a Gateway should select pods, if the input has any pods of gateways",
        gateway_selects_nothing,
    ),
    Rule(
        "gateway-port-closed",
        Severity.WARNING,
        "the Service of a gateway's pods should lead to the ports of the Gateway",
        gateway_port_closed,
    ),
)
