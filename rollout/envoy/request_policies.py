"""Which policies apply to a pod's requests, and the filters that they put before its routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from ..manifests.metadata import IstioObject
from ..manifests.request_authentication import RequestAuthentication
from ..manifests.security import AuthorizationPolicy
from .age import oldest_first
from .authorization_rules import NEVER, rbac_policy
from .configuration import Objects, Resource
from .protobuf_json import extension
from .proxy import GATEWAY_NAME, ROOT_NAMESPACE
from .token_filter import token_filter

_GATEWAY_API: Final = ("gateway.networking.k8s.io", "Gateway")
_RBAC: Final = "envoy.filters.http.rbac"
_RBAC_MESSAGE: Final = "envoy.extensions.filters.http.rbac.v3.RBAC"
#: The actions in the order of their filters, with Envoy's words. CUSTOM asks another server.
_ACTIONS: Final = {"AUDIT": "LOG", "DENY": "DENY", "ALLOW": "ALLOW"}
_DRY_RUN: Final = "istio.io/dry-run"
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})

Policy = TypeVar("Policy", AuthorizationPolicy, RequestAuthentication)


def request_filters(
    objects: Objects, namespace: str, labels: Mapping[str, str], *, gateway: bool = False
) -> list[Resource]:
    """Return the filters of a gateway's listeners, or of a pod's sidecar for its own requests.

    Tokens are verified first; then DENY policies decide, then ALLOW policies.
    """
    tokens = applying(objects.request_authentications, namespace, labels)
    return [
        *token_filter(tokens, clear_route_cache=gateway),
        *_authorization(applying(objects.authorization_policies, namespace, labels)),
    ]


def applying(policies: Iterable[Policy], namespace: str, labels: Mapping[str, str]) -> list[Policy]:
    """Return the policies that apply to a pod: the root namespace's first, the oldest first."""
    ordered = oldest_first(policies)
    return [
        each
        for owner in dict.fromkeys((ROOT_NAMESPACE, namespace))
        for each in ordered
        if each.namespace == owner and _applies(each, namespace, labels)
    ]


def is_dry_run(policy: IstioObject) -> bool:
    """Return True if a policy is only tried: it refuses no request."""
    return policy.metadata.annotations.get(_DRY_RUN) in _TRUE


def _applies(policy: Policy, namespace: str, labels: Mapping[str, str]) -> bool:
    spec = policy.spec
    targets = spec.target_refs or ((spec.target_ref,) if spec.target_ref else ())
    if targets:
        # Only gateways of the Gateway API, and waypoints, are targets.
        return policy.namespace == namespace and any(
            (each.group, each.kind, each.name) == (*_GATEWAY_API, labels.get(GATEWAY_NAME))
            for each in targets
        )
    return spec.selector is None or spec.selector.match_labels.items() <= labels.items()


def _authorization(policies: Iterable[AuthorizationPolicy]) -> list[Resource]:
    found: list[Resource] = []
    enforced = [each for each in policies if not is_dry_run(each)]
    for action, word in _ACTIONS.items():
        if chosen := [each for each in enforced if each.spec.action == action]:
            rules = {"action": word, "policies": _rules(chosen)}
            found.append(extension(_RBAC, _RBAC_MESSAGE, rules=rules))
    return found


def _rules(policies: Iterable[AuthorizationPolicy]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in policies:
        title = f"ns[{each.namespace}]-policy[{each.name}]-rule"
        if not each.spec.rules:
            # An ALLOW policy that allows nothing: no request passes.
            found[f"{title}[0]"] = NEVER
        for index, rule in enumerate(each.spec.rules):
            found[f"{title}[{index}]"] = rbac_policy(rule, each.namespace)
    return found
