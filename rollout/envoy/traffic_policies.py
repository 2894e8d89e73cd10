"""The traffic policy of a cluster: of the host, one of its ports, and a subset."""

from __future__ import annotations

from typing import Final

from ..manifests.load_balancing import ConsistentHash
from ..manifests.traffic_policy import PortPolicy, TrafficPolicy
from .destination_rules import MergedRule

_BLOCKS: Final = ("load_balancer", "connection_pool", "outlier_detection", "tls")
_WITHOUT_PORTS: Final = ("tunnel", "proxy_protocol", "retry_budget")


def cluster_policy(rule: MergedRule | None, subset: str | None, port: int) -> TrafficPolicy:
    """Return the policy of a cluster.

    A port's policy replaces all blocks of the policy that it is in, also those that it leaves out.
    A subset's policy replaces the blocks that it has.
    """
    if rule is None:
        return TrafficPolicy()
    policy = _of_port(rule.policy or TrafficPolicy(), port)
    found = rule.subset(subset) if subset else None
    if found is None or found.traffic_policy is None:
        return policy
    narrower = _of_port(found.traffic_policy, port)
    has_port = narrower is not found.traffic_policy
    fields = {
        name: getattr(narrower, name)
        for name in (*_BLOCKS, *_WITHOUT_PORTS)
        if getattr(narrower, name) is not None or (has_port and name in _BLOCKS)
    }
    return policy.model_copy(update=fields)


def service_hash(rule: MergedRule | None, port: int) -> ConsistentHash | None:
    """Return the hash of a route to a service without a VirtualService."""
    if rule is None or rule.policy is None:
        return None
    return _port_hash(rule.policy, port) or _hash(rule.policy)


def destination_hash(
    rule: MergedRule | None, subset: str | None, port: int | None
) -> ConsistentHash | None:
    """Return the hash of a route to a destination; ``port`` is the one that the route names.

    The host's hash stays in force where a subset has a balancer without a hash.
    """
    if rule is None:
        return None
    found = rule.subset(subset) if subset else None
    for policy in (found.traffic_policy if found else None, rule.policy):
        if policy is not None:
            of_port = None if port is None else _port_hash(policy, port)
            if chosen := of_port or _hash(policy):
                # The host's policy of the port counts before the host's own, the subset's first.
                return chosen
    return None


def _of_port(policy: TrafficPolicy, port: int) -> TrafficPolicy:
    for each in policy.port_level_settings:
        if each.port.number == port:
            return TrafficPolicy().model_copy(
                update={name: getattr(each, name) for name in _BLOCKS}
            )
    return policy


def _port_hash(policy: TrafficPolicy, port: int) -> ConsistentHash | None:
    return next(
        (_hash(each) for each in policy.port_level_settings if each.port.number == port), None
    )


def _hash(policy: TrafficPolicy | PortPolicy) -> ConsistentHash | None:
    return policy.load_balancer.consistent_hash if policy.load_balancer else None
