"""The DestinationRule that applies to a service for one caller."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..manifests.destination_rule import DestinationRule, Subset
from ..manifests.hosts import expand_host
from ..manifests.traffic_policy import TrafficPolicy
from .age import oldest_first
from .host_matching import most_specific
from .proxy import ROOT_NAMESPACE, Proxy, exported
from .services import MeshService


@dataclass(slots=True)
class MergedRule:
    """The DestinationRules of one namespace and host, merged as istiod does.

    The oldest rule counts; later ones add subsets of other names, and a traffic policy if it has
    none. Rules with another ``exportTo`` or selector stay apart.
    """

    namespace: str
    export_to: frozenset[str]
    selector: dict[str, str] | None
    policy: TrafficPolicy | None
    subsets: list[Subset]

    def subset(self, name: str) -> Subset | None:
        return next((each for each in self.subsets if each.name == name), None)


#: Rules by namespace and host.
_Index = dict[str, dict[str, list[MergedRule]]]


class DestinationRules:
    """All DestinationRules, looked up for one caller."""

    def __init__(self, rules: Iterable[DestinationRule]) -> None:
        self._local: _Index = {}
        self._exported: _Index = {}
        self._private: _Index = {}
        for rule in oldest_first(rules):
            host = expand_host(rule.spec.host, rule.namespace)
            export_to = _export_to(rule)
            private = bool(export_to) and export_to <= {".", rule.namespace}
            indexes = [self._private if private else self._exported]
            if exported(export_to, rule.namespace, rule.namespace):
                indexes.append(self._local)
            for index in indexes:
                _merge(index.setdefault(rule.namespace, {}).setdefault(host, []), rule, export_to)

    def find(self, service: MeshService, proxy: Proxy) -> MergedRule | None:
        """Return the rule of the caller's namespace, else the service's, else the root's.

        A rule whose selector matches the caller counts before one without a selector.
        """
        catch_all = None
        for rule in self._rules(service, proxy):
            if rule.selector is None:
                catch_all = rule
            elif rule.namespace == proxy.namespace and proxy.has_labels(rule.selector):
                return rule
        return catch_all

    def _rules(self, service: MeshService, proxy: Proxy) -> list[MergedRule]:
        # The root namespace's rules are for the whole mesh. For its own proxies, only those for
        # this namespace alone count before the service's.
        own = self._private if proxy.namespace == ROOT_NAMESPACE else self._local
        found = _of_host(own, proxy.namespace, service)
        for namespace in (service.namespace, ROOT_NAMESPACE):
            found = found or [
                each
                for each in _of_host(self._exported, namespace, service)
                if exported(each.export_to, each.namespace, proxy.namespace)
            ]
        return found


def _of_host(index: _Index, namespace: str, service: MeshService) -> list[MergedRule]:
    return most_specific(service.host, index.get(namespace, {})) or []


def _export_to(rule: DestinationRule) -> frozenset[str]:
    # A rule for some callers only is never visible elsewhere. One without exportTo is not merged
    # with one for all namespaces.
    spec = rule.spec
    written = spec.export_to if spec.is_set("export_to") else ()
    return frozenset(["."] if spec.workload_selector else written)


def _merge(rules: list[MergedRule], rule: DestinationRule, export_to: frozenset[str]) -> None:
    """Add a rule to those of the same namespace and host."""
    spec = rule.spec
    selector = None if spec.workload_selector is None else spec.workload_selector.match_labels
    for each in rules:
        if (each.selector, each.export_to) == (selector, export_to):
            names = {subset.name for subset in each.subsets}
            each.subsets += [subset for subset in spec.subsets if subset.name not in names]
            each.policy = each.policy or spec.traffic_policy
            return
    rules.append(
        MergedRule(rule.namespace, export_to, selector, spec.traffic_policy, [*spec.subsets])
    )
