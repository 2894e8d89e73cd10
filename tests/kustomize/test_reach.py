"""Which pods may connect, by NetworkPolicies."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.kustomize.installations import Objects
from tests.kustomize.pods import HERE, OUTSIDE, Pod, expected_connections, inside, pod_named
from tests.support.manifests import (
    compose,
    is_selected,
    of_kind,
)


def test_network_policies_let_through_what_has_business_and_nothing_else(
    secured: Objects,
) -> None:
    ours = list(inside(secured))
    policies = of_kind(secured, "NetworkPolicy")

    reach = {
        (who.name, whom.name, number)
        for who, whom in itertools.product([*ours, *OUTSIDE], repeat=2)
        if who in ours or whom in ours
        for number, protocol in whom.ports.values()
        if may_connect(policies, who, whom, number, protocol)
    }

    assert reach == expected_connections(ours)
    dns = pod_named(OUTSIDE, "dns")
    for pod in ours:
        assert all(may_connect(policies, pod, dns, 53, protocol) for protocol in ("UDP", "TCP"))


def test_prometheus_alone_asks_sidecars_how_they_are(secured: Objects) -> None:
    policies = of_kind(secured, "NetworkPolicy")

    for pod, port in itertools.product(inside(secured), (15020, 15090)):
        asking = {who.name for who in OUTSIDE if may_connect(policies, who, pod, port, "TCP")}
        assert asking == {"prometheus"}


def may_connect(policies: Objects, who: Pod, whom: Pod, port: int, protocol: str) -> bool:
    """Apply NetworkPolicies as a network plugin does; all of them are in namespace HERE."""
    for pod, other, way, peers in (
        (who, whom, "Egress", "to"),
        (whom, who, "Ingress", "from"),
    ):
        over = [
            each["spec"]
            for each in policies
            if pod.namespace == HERE
            and is_selected(pod.labels, each["spec"]["podSelector"])
            and way in each["spec"]["policyTypes"]
        ]
        if over and not any(
            any(is_peer(other, peer) for peer in rule[peers])
            and any(
                (each.get("protocol", "TCP"), number_of(each["port"], whom)) == (protocol, port)
                for each in rule["ports"]
            )
            for spec in over
            for rule in spec.get(way.lower(), [])
        ):
            return False
    return True


def is_peer(pod: Pod, peer: dict[str, Any]) -> bool:
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        namespace = {"kubernetes.io/metadata.name": pod.namespace}
        if not is_selected(namespace, peer["namespaceSelector"]):
            return False
    elif pod.namespace != HERE:
        return False
    return is_selected(pod.labels, peer.get("podSelector", {}))


def number_of(port: int | str, pod: Pod) -> int | None:
    return port if isinstance(port, int) else pod.ports.get(port, (None,))[0]


def test_without_hardened_an_external_redis_cuts_off_neither_collector_nor_istiod(
    tmp_path: Path,
) -> None:
    objects = compose(tmp_path, "kustomize/components/redis-external", namespace=HERE)
    policies = of_kind(objects, "NetworkPolicy")
    (kv,) = inside(objects)

    for name, port in (("collector", 4318), ("istiod", 15012), ("dns", 53)):
        assert may_connect(
            policies, kv, pod_named(OUTSIDE, name), port, "UDP" if port == 53 else "TCP"
        )
    assert may_connect(policies, pod_named(OUTSIDE, "gateway"), kv, 8080, "TCP")
    assert not may_connect(policies, kv, pod_named(OUTSIDE, "stranger"), 6379, "TCP")
