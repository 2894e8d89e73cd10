"""The rule for mutual TLS: what callers send must be what the pods accept. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...manifests.hosts import ServiceName, expand_host, service_of
from ...manifests.kubernetes import Service
from ...manifests.untyped import list_or_empty, mapping_or_empty
from ..context import LintContext, kubernetes_objects
from ..findings import Severity
from ..peer_policies import DemandedTls, PeerPolicies
from ..pod_index import PodIndex
from ..resource import Resource
from ..rule import Problem, Rule

#: What callers send, by the mode of the caller and that of the pods.
_CONFLICTS: Final = {
    ("DISABLE", "STRICT"): "plain text",
    ("SIMPLE", "STRICT"): "TLS without a certificate of the mesh",
    ("ISTIO_MUTUAL", "DISABLE"): "mutual TLS",
}
_ACCEPTED: Final = {"STRICT": "mutual TLS (STRICT)", "DISABLE": "plain text (DISABLE)"}


@dataclass(frozen=True, slots=True)
class _ClientTls:
    """What callers send to a host or a subset, by the number of the Service's port.

    Each is the JSON path of the setting and its mode; None stands for all other ports.
    """

    labels: Mapping[str, str]
    by_port: Mapping[int | None, tuple[str, str] | None]

    def at(self, port: int) -> tuple[str, str] | None:
        return self.by_port[port] if port in self.by_port else self.by_port.get(None)


@dataclass(frozen=True, slots=True)
class _Conflict:
    rule: Resource
    path: str
    sent: str
    demanded: DemandedTls
    pods: str
    host: str
    port: int


def mtls_conflict(context: LintContext) -> Iterator[Problem]:
    reported: set[tuple[Resource, str]] = set()
    for each in _conflicts(context):
        at_rule = context.is_checked(each.rule)
        where, path = (each.rule, each.path) if at_rule else (each.demanded.policy, "spec")
        if not context.is_checked(where) or (where, path) in reported:
            continue
        reported.add((where, path))
        rule, policy = each.rule, each.demanded.policy
        yield Problem(
            where,
            path,
            f"DestinationRule {rule.namespace}/{rule.name} ({each.path}) lets callers send"
            f" {each.sent} to port {each.port} of {each.host}, but PeerAuthentication"
            f" {policy.namespace}/{policy.name} makes {each.pods} accept"
            f" {_ACCEPTED[each.demanded.mode]} only: every request fails",
            "remove tls from the DestinationRule, so that sidecars find out what the pods accept",
        )


def _conflicts(context: LintContext) -> Iterator[_Conflict]:
    policies = PeerPolicies(context.in_cluster)
    index = PodIndex(context.everything)
    rules = [each for each in context.in_cluster if each.kind == "DestinationRule"]
    exact = {(it.namespace, _host(it)) for it in rules}
    services = [service for _, service in kubernetes_objects(context.in_cluster, Service)]
    for rule in rules:
        settings = list(_client_tls(rule))
        for service in _services(context, rule, services, exact) if settings else ():
            for tls in settings:
                for name, labels in _pods(index, service, tls.labels):
                    for port in service.ports:
                        sent = tls.at(port.number)
                        target = port.target if isinstance(port.target, int) else port.number
                        demanded = policies.demanded(service.namespace, labels, target)
                        if sent and demanded and (sent[1], demanded.mode) in _CONFLICTS:
                            host = ServiceName(service.namespace, service.name).host
                            what = _CONFLICTS[sent[1], demanded.mode]
                            yield _Conflict(rule, sent[0], what, demanded, name, host, port.number)


def _host(rule: Resource) -> str:
    return expand_host(str(rule.spec.get("host")), rule.namespace)


def _services(
    context: LintContext,
    rule: Resource,
    services: list[Service],
    exact: set[tuple[str, str]],
) -> Iterator[Service]:
    """Yield the Services with pods that a DestinationRule applies to."""
    host = _host(rule)
    if host.startswith("*"):
        for service in services:
            own = ServiceName(service.namespace, service.name).host
            # Of the rules of a namespace, the most specific one applies.
            if own.endswith(host[1:]) and (rule.namespace, own) not in exact and service.selector:
                yield service
    elif name := service_of(host):
        known = context.service(name)
        if known is not None and known.selector:
            yield known


def _pods(
    index: PodIndex, service: Service, labels: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the workloads with sidecars; without any known, those that the selectors demand."""
    wanted = {**service.selector, **labels}
    found = list(index.pods(wanted, service.namespace))
    if not found:
        yield f"the pods of Service {service.name}", wanted
    for resource, workload in found:
        if _has_sidecar(resource):
            yield f"{workload.kind} {workload.name}", workload.labels


def _has_sidecar(workload: Resource) -> bool:
    template = workload.document if workload.kind == "Pod" else workload.spec.get("template")
    metadata = mapping_or_empty(mapping_or_empty(template).get("metadata"))
    told = [mapping_or_empty(metadata.get(each)) for each in ("labels", "annotations")]
    return all(str(each.get("sidecar.istio.io/inject")).lower() != "false" for each in told)


def _client_tls(rule: Resource) -> Iterator[_ClientTls]:
    whole = _by_port(rule.spec.get("trafficPolicy"), "spec.trafficPolicy")
    if whole:
        yield _ClientTls({}, whole)
    for at, subset in enumerate(list_or_empty(rule.spec.get("subsets"))):
        policy = mapping_or_empty(subset).get("trafficPolicy")
        # What a subset doesn't set is as in the policy of the host, which is checked above.
        if own := _by_port(policy, f"spec.subsets[{at}].trafficPolicy"):
            labels = mapping_or_empty(mapping_or_empty(subset).get("labels"))
            yield _ClientTls({str(key): str(value) for key, value in labels.items()}, own)


def _by_port(policy: Any, path: str) -> dict[int | None, tuple[str, str] | None]:
    settings = mapping_or_empty(policy)
    found: dict[int | None, tuple[str, str] | None] = {}
    if "tls" in settings:
        found[None] = _mode(settings, path)
    for at, each in enumerate(list_or_empty(settings.get("portLevelSettings"))):
        port = mapping_or_empty(mapping_or_empty(each).get("port")).get("number")
        if isinstance(port, int):
            # They replace the settings above them, and tls that they don't set is the default.
            found[port] = _mode(mapping_or_empty(each), f"{path}.portLevelSettings[{at}]")
    return found


def _mode(settings: Mapping[str, Any], path: str) -> tuple[str, str] | None:
    if "tls" not in settings:
        return None
    return f"{path}.tls.mode", str(mapping_or_empty(settings["tls"]).get("mode", "DISABLE"))


RULES: Final = (
    Rule(
        "mtls-conflict",
        Severity.ERROR,
        "a DestinationRule must not send what the PeerAuthentication of the pods refuses",
        mtls_conflict,
    ),
)
