"""Lists what the manifests contain and a rehearsal does not test. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.parsing import is_modelled, parse_manifest
from .applied_manifests import kind_of, title_of
from .policy_notes import policy_fields

#: Why an object has no effect in a rehearsal, by its API group and kind.
_WITHOUT_EFFECT: Final = {
    ("telemetry.istio.io", "Telemetry"): ("the rehearsal has an access log and metrics of its own"),
    ("networking.istio.io", "ServiceEntry"): (
        "no request leaves this machine: a stub answers for the hosts to which a route leads"
    ),
    ("networking.k8s.io", "NetworkPolicy"): (
        "all processes are on the loopback interface, where every connection is allowed"
    ),
    ("networking.k8s.io", "Ingress"): "only Gateways listen",
    **{
        ("gateway.networking.k8s.io", kind): "no listener for it is translated"
        for kind in ("TCPRoute", "TLSRoute", "UDPRoute", "ListenerSet")
    },
    ("gateway.networking.k8s.io", "BackendTLSPolicy"): "connections to pods are plaintext",
    ("autoscaling", "HorizontalPodAutoscaler"): "the number of pods does not change",
    ("policy", "PodDisruptionBudget"): "no pod is evicted",
    ("flagger.app", "Canary"): "its controller does not run",
    ("argoproj.io", "Rollout"): "its controller does not run",
}
#: Protocols of a Gateway's port without requests.
_L4: Final = frozenset({"TCP", "TLS", "MONGO", "MYSQL", "REDIS"})


@dataclass(frozen=True, slots=True)
class NotRehearsed:
    """An object or a field of it that has no effect in a rehearsal.

    ``object`` is kind, namespace and name; ``path`` is empty if the whole object has no effect.
    """

    object: str
    path: str
    why: str

    def __str__(self) -> str:
        """Return one line for a person to read."""
        return f"{self.object}{f' {self.path}' if self.path else ''}: {self.why}"


#: The same where requests come through a gateway, and where they come from inside the mesh.
_FROM_OUTSIDE: Final = {
    ("networking.istio.io", "Sidecar"): (
        "it narrows what sidecars reach, and requests come through the gateway"
    ),
}
_FROM_INSIDE: Final = {
    ("networking.istio.io", "Gateway"): "requests come from inside the mesh",
}


def not_rehearsed(
    documents: Iterable[Mapping[str, Any]], *, through_gateway: bool = True
) -> tuple[NotRehearsed, ...]:
    """Return what has no effect in a rehearsal, in the order of the documents.

    ``through_gateway`` is False if requests come from inside the mesh. The documents are valid:
    ``read_applied_manifests`` has accepted them.
    """
    return tuple(
        NotRehearsed(title_of(document), path, why)
        for document in documents
        for path, why in _fields(document, through_gateway=through_gateway)
    )


def _fields(document: Mapping[str, Any], *, through_gateway: bool) -> Iterator[tuple[str, str]]:
    group, slash, _ = str(document["apiVersion"]).partition("/")
    kind = (group if slash else "", str(document["kind"]))
    here = _FROM_OUTSIDE if through_gateway else _FROM_INSIDE
    if why := _WITHOUT_EFFECT.get(kind) or here.get(kind):
        yield "", why
    manifest = parse_manifest(document).manifest if is_modelled(*kind_of(document)) else None
    if isinstance(manifest, Gateway) and through_gateway:
        yield from _gateway_fields(manifest)
    elif isinstance(manifest, DestinationRule):
        yield from _destination_rule_fields(manifest)
    yield from policy_fields(manifest)


def _gateway_fields(gateway: Gateway) -> Iterator[tuple[str, str]]:
    for server in gateway.spec.servers:
        if server.tls and server.tls.https_redirect:
            yield server.tls.json_path("httpsRedirect"), "no port serves https after the redirect"
        elif server.tls and server.tls.mode in {"PASSTHROUGH", "AUTO_PASSTHROUGH"}:
            yield server.tls.json_path(), "connections are forwarded to pods, which speak plaintext"
        elif server.tls:
            yield server.tls.json_path(), "a certificate of the rehearsal replaces the server's"
        elif server.port.protocol.upper() in _L4:
            yield server.port.json_path("protocol"), "only requests of HTTP are sent"


def _destination_rule_fields(rule: DestinationRule) -> Iterator[tuple[str, str]]:
    policies = [rule.spec.traffic_policy, *(each.traffic_policy for each in rule.spec.subsets)]
    for policy in policies:
        # The others decide whether a pod's sidecar knows the caller, and are rehearsed.
        if policy and policy.tls and policy.tls.mode in {"SIMPLE", "MUTUAL"}:
            yield policy.tls.json_path(), "connections to pods are plaintext"
