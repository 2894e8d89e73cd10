"""Rules for look-ups: a proxy must see the DestinationRules and Services that routes need. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ...manifests.destination_rule import DestinationRule
from ...manifests.hosts import expand_host, service_of
from ...manifests.kubernetes import Service
from ...manifests.virtual_service import MESH, VirtualService
from ..context import LintContext, istio_objects, kubernetes_objects
from ..destinations import routed_destinations
from ..findings import Severity
from ..gateway_servers import selectors_by_gateway
from ..pod_index import PodIndex
from ..resource import Resource
from ..rule import Problem, Rule
from ..visibility import ROOT_NAMESPACE, exported_to, is_exported


class _Callers:
    """The namespaces of the proxies that apply a VirtualService; None stands for any."""

    def __init__(self, context: LintContext) -> None:
        self._index = PodIndex(context.everything)
        self._selectors = selectors_by_gateway(context.everything)
        self._known: dict[str, frozenset[str]] = {}

    def of(self, resource: Resource, service: VirtualService) -> Iterator[tuple[str, str | None]]:
        """Yield each gateway or ``mesh`` with a namespace that its proxies may be in."""
        for gateway in service.gateways:
            if gateway != MESH:
                yield from ((gateway, namespace) for namespace in sorted(self.of_gateway(gateway)))
            elif (values := exported_to(resource)) and "*" not in values:
                for value in values:
                    yield gateway, resource.namespace if value == "." else value
            else:
                yield gateway, None

    def of_gateway(self, gateway: str) -> frozenset[str]:
        """Return where the pods of a Gateway are; without known pods, where they usually are."""
        if gateway not in self._known:
            selector = dict(self._selectors.get(gateway, ()))
            pods = self._index.pods(selector) if selector else iter(())
            found = frozenset(pod.namespace for _, pod in pods)
            usual = frozenset({ROOT_NAMESPACE, gateway.partition("/")[0]})
            self._known[gateway] = found or usual
        return self._known[gateway]


def destination_rule_out_of_reach(context: LintContext) -> Iterator[Problem]:
    callers = _Callers(context)
    by_host = _rules_by_host(context)
    seen_by: dict[Resource, list[tuple[str, str | None]]] = {}
    for routed in routed_destinations(context):
        name = service_of(routed.host)
        subset = routed.destination.subset
        rules = [
            (resource, rule)
            for resource, rule in by_host.get(routed.host, ())
            if any(each.name == subset for each in rule.spec.subsets)
        ]
        if name is None or not subset or not rules:
            continue
        resource, service = routed.resource, routed.virtual_service
        if resource not in seen_by:
            seen_by[resource] = list(callers.of(resource, service))
        places = seen_by[resource]
        blind = [
            (at, it)
            for at, it in places
            if not _any_applies(rules, name.namespace, it, resource.namespace)
        ]
        # A gateway of unknown place may be in either of two namespaces: one that sees it is enough.
        unclear = {at for at, it in places if at != MESH and (at, it) not in blind}
        blind = [(at, it) for at, it in blind if at not in unclear]
        if blind:
            at, namespace = blind[0]
            where = "in the mesh" if at == MESH else f"at Gateway {at}"
            who = f"of namespace {namespace}" if namespace else "of other namespaces"
            rule = rules[0][0]
            yield Problem(
                resource,
                routed.destination.json_path("subset"),
                f"proxies {who} {where} don't see DestinationRule {rule.namespace}/{rule.name},"
                f' which defines the subset "{subset}": they look only in their own namespace, in'
                f" that of the Service ({name.namespace}) and in {ROOT_NAMESPACE}, so requests get"
                " 503",
                f"move the DestinationRule to namespace {name.namespace}",
            )


def _any_applies(
    rules: list[tuple[Resource, DestinationRule]], service: str, caller: str | None, owner: str
) -> bool:
    """Return True if a caller looks up one of the rules.

    A caller of None may be anywhere in the mesh. Then it is enough that callers in the namespace
    of the Service, or of the owner of the routes, do.
    """
    for resource, _ in rules:
        namespace = resource.namespace
        if caller is None:
            if namespace in {service, ROOT_NAMESPACE, owner}:
                return True
        elif namespace == caller or (
            namespace in {service, ROOT_NAMESPACE} and is_exported(resource, caller)
        ):
            return True
    return False


def _rules_by_host(
    context: LintContext,
) -> Mapping[str, list[tuple[Resource, DestinationRule]]]:
    found: dict[str, list[tuple[Resource, DestinationRule]]] = {}
    for resource, rule in istio_objects(context.everything, DestinationRule):
        host = expand_host(rule.spec.host, rule.namespace)
        found.setdefault(host, []).append((resource, rule))
    return found


def destination_rule_elsewhere(context: LintContext) -> Iterator[Problem]:
    index = PodIndex(context.everything)
    for resource, rule in context.destination_rules():
        name = service_of(expand_host(rule.spec.host, rule.namespace))
        own = resource.namespace
        if name is None or own in {name.namespace, ROOT_NAMESPACE} or index.has_pods_of(own):
            continue
        yield Problem(
            resource,
            rule.spec.json_path("host"),
            f"the rule applies only to callers in namespace {own}: others look in their own"
            f" namespace, in that of the Service ({name.namespace}) and in {ROOT_NAMESPACE}",
            f"move it to namespace {name.namespace}, unless it is meant for these callers",
        )


def host_not_exported(context: LintContext) -> Iterator[Problem]:
    callers = _Callers(context)
    hidden = {
        (service.namespace, service.name): resource
        for resource, service in kubernetes_objects(context.everything, Service)
        if exported_to(resource)
    }
    for routed in routed_destinations(context) if hidden else ():
        name = service_of(routed.host)
        service = hidden.get((name.namespace, name.name)) if name else None
        if service is None:
            continue
        places = list(callers.of(routed.resource, routed.virtual_service))
        blind = [
            at
            for at, namespace in places
            if not (is_exported(service, namespace) if namespace else _to_all(service))
        ]
        if blind and len(blind) == len(places):
            yield Problem(
                routed.resource,
                routed.destination.json_path("host"),
                f"Service {service.namespace}/{service.name} is exported to"
                f" {', '.join(exported_to(service))} only, so the proxies that apply this route"
                " don't know the host, and requests get 503",
                "add their namespaces to the annotation networking.istio.io/exportTo",
            )


def _to_all(service: Resource) -> bool:
    return "*" in exported_to(service)


def routes_not_exported(context: LintContext) -> Iterator[Problem]:
    callers = _Callers(context)
    for resource, service in context.virtual_services():
        if not exported_to(resource):
            continue
        for index, written in enumerate(service.spec.gateways):
            gateway = service.qualify(written)
            if gateway == MESH or not context.has_gateway(gateway):
                continue
            namespaces = callers.of_gateway(gateway)
            if not any(is_exported(resource, each) for each in namespaces):
                yield Problem(
                    resource,
                    service.spec.json_path("gateways", index),
                    f"exportTo hides the routes from the proxies of Gateway {written}, which are in"
                    f" {' or '.join(sorted(namespaces))}: they answer 404",
                    "add that namespace to exportTo",
                )


RULES: Final = (
    Rule(
        "destination-rule-out-of-reach",
        Severity.ERROR,
        "the proxies that apply a route must see the DestinationRule of its subsets",
        destination_rule_out_of_reach,
    ),
    Rule(
        "destination-rule-elsewhere",
        Severity.INFO,
        "reports DestinationRules that apply to callers of a third namespace only",
        destination_rule_elsewhere,
    ),
    Rule(
        "host-not-exported",
        Severity.ERROR,
        "the proxies that apply a route must see the Service of its destination",
        host_not_exported,
    ),
    Rule(
        "routes-not-exported",
        Severity.ERROR,
        "the proxies of a Gateway must see the VirtualServices that are bound to it",
        routes_not_exported,
    ),
)
