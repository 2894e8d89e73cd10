"""What stands in the manifests and can't be rehearsed: named, so that nobody takes it for tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..manifests.destination_rule import DestinationRule
from ..manifests.gateway import Gateway
from ..manifests.metadata import DEFAULT_NAMESPACE
from ..manifests.parsing import is_istio, parse_manifest

#: Why a whole object does nothing here, by its API group and kind.
_WHOLE: Final = {
    ("security.istio.io", "PeerAuthentication"): (
        "callers and pods speak plaintext: mutual TLS is neither offered nor demanded"
    ),
    ("security.istio.io", "AuthorizationPolicy"): "nobody is refused: callers have no identity",
    ("security.istio.io", "RequestAuthentication"): "tokens are not checked",
    ("telemetry.istio.io", "Telemetry"): "the access log and the metrics are the rehearsal's own",
    ("networking.istio.io", "Sidecar"): "every caller sees every Service",
    ("networking.k8s.io", "NetworkPolicy"): "all processes are on loopback, where nothing is cut",
    ("networking.k8s.io", "Ingress"): "only Gateways listen",
    ("gateway.networking.k8s.io", "Gateway"): "only Istio's own Gateways listen",
    ("gateway.networking.k8s.io", "HTTPRoute"): "only VirtualServices are translated",
    ("autoscaling", "HorizontalPodAutoscaler"): "the number of pods stays as it is",
    ("policy", "PodDisruptionBudget"): "nothing is evicted",
    ("flagger.app", "Canary"): "no controller runs that would act on it",
    ("argoproj.io", "Rollout"): "no controller runs that would act on it",
}


@dataclass(frozen=True, slots=True)
class Note:
    """``object`` is kind, namespace and name; ``path`` is empty where all of it is meant."""

    object: str
    path: str
    why: str

    def __str__(self) -> str:
        """Return it as a line for people."""
        return f"{self.object}{f' {self.path}' if self.path else ''}: {self.why}"


def notes(documents: Iterable[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Return what is not rehearsed of some objects, in their order.

    What the models refuse is not among it: that is refused before anything is rehearsed.
    """
    return tuple(
        Note(_title(document), path, why) for document in documents for path, why in _of(document)
    )


def _of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    group, slash, _ = str(document["apiVersion"]).partition("/")
    if why := _WHOLE.get((group if slash else "", str(document["kind"]))):
        yield "", why
    manifest = parse_manifest(document).manifest if is_istio(group) else None
    if isinstance(manifest, Gateway):
        yield from _of_gateway(manifest)
    elif isinstance(manifest, DestinationRule):
        yield from _of_rule(manifest)


def _of_gateway(gateway: Gateway) -> Iterator[tuple[str, str]]:
    for server in gateway.spec.servers:
        if server.tls and server.tls.https_redirect:
            yield (
                server.tls.json_path("httpsRedirect"),
                "callers are redirected to an https nobody serves",
            )
        elif server.tls:
            yield (
                server.tls.json_path(),
                "the port speaks plaintext: no certificate is shown or checked",
            )


def _of_rule(rule: DestinationRule) -> Iterator[tuple[str, str]]:
    policies = [rule.spec.traffic_policy, *(each.traffic_policy for each in rule.spec.subsets)]
    for policy in policies:
        if policy and policy.tls:
            yield policy.tls.json_path(), "connections to pods are plaintext"


def _title(document: Mapping[str, Any]) -> str:
    metadata = document["metadata"]
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
    return f"{document['kind']} {namespace}/{metadata['name']}"
