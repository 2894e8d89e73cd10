"""The same two rules with a stable and a canary release, in each kind of routes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rollout.evidence.objective import Objective
from rollout.manifests.parsing import parse_manifest
from rollout.manifests.weighted_rules import Routes
from rollout.plan.model import Plan, Step, Strategy
from tests.rollout.cluster.virtual_services import live

Json = dict[str, Any]
PERCENTAGES: Final = (0, 10, 50, 100)


@dataclass(frozen=True)
class Kind:
    """A kind of routes; ``build`` returns its object with a weight for each of the releases."""

    build: Callable[[int, int], Json]
    collection: str
    rules: str
    destinations: str
    #: What the API server fills in.
    complete: Callable[[Json], None] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.collection, "shop", "kv"

    def plan(self) -> Plan:
        return self.plan_of({f"w{each}": self.build(100 - each, each) for each in PERCENTAGES})

    @staticmethod
    def plan_of(documents: Mapping[str, Json]) -> Plan:
        steps = []
        for name, document in documents.items():
            parsed = parse_manifest(document)
            assert isinstance(parsed.manifest, Routes), parsed.errors
            steps.append(Step(name, None, parsed.manifest, document))
        return Plan("kv", Strategy.CANARY, "stable", "canary", tuple(steps), Objective())

    def live(self, percent: int) -> Json:
        """Return the object as kubectl apply sends it."""
        return live(self.build(100 - percent, percent))

    def rules_of(self, document: Json) -> list[Json]:
        found: list[Json] = document["spec"][self.rules]
        return found

    def weights(self, document: Json) -> list[list[int]]:
        rules = self.rules_of(document)
        return [[each["weight"] for each in rule[self.destinations]] for rule in rules]

    def unmanaged(self, document: Json) -> Json:
        """Return the object without what a rollout may change."""
        rest = copy.deepcopy(document)
        for each in ("resourceVersion", "generation", "managedFields"):
            rest["metadata"].pop(each, None)
        for rule in self.rules_of(rest):
            for entry in rule[self.destinations]:
                entry.pop("weight", None)
        return rest


def _object(api_version: str, kind: str, spec: Json) -> Json:
    metadata = {"name": "kv", "namespace": "shop"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _virtual_service(destinations: tuple[Json, Json], spec: Json) -> Callable[[int, int], Json]:
    def build(*weights: int) -> Json:
        def route() -> list[Json]:
            pairs = zip(destinations, weights, strict=True)
            return [{"destination": dict(each), "weight": weight} for each, weight in pairs]

        reads = {"name": "reads", "match": [{"method": {"exact": "GET"}}], "route": route()}
        http = [reads, {"name": "writes", "timeout": "15s", "route": route()}]
        return _object(
            "networking.istio.io/v1", "VirtualService", {**copy.deepcopy(spec), "http": http}
        )

    return build


def _gateway_api(kind: str, matches: list[Json], spec: Json) -> Callable[[int, int], Json]:
    def build(*weights: int) -> Json:
        def backends() -> list[Json]:
            pairs = zip(("kv-stable", "kv-canary"), weights, strict=True)
            return [{"name": name, "port": 8080, "weight": weight} for name, weight in pairs]

        # One rule with a name and a match, one without either.
        named = {"name": "reads", "matches": matches, "backendRefs": backends()}
        rules = copy.deepcopy([named, {"backendRefs": backends()}])
        return _object(
            "gateway.networking.k8s.io/v1", kind, {**copy.deepcopy(spec), "rules": rules}
        )

    return build


def _complete_http(document: Json) -> None:
    """Fill in what the schema of HTTPRoute 1.4 does."""
    path = {"type": "PathPrefix", "value": "/"}
    for rule in document["spec"]["rules"]:
        for match in rule.setdefault("matches", [{"path": path}]):
            match.setdefault("path", path)
            for each in match.get("headers", []):
                each.setdefault("type", "Exact")
    _complete_references(document)


def _complete_references(document: Json) -> None:
    for parent in document["spec"]["parentRefs"]:
        parent.setdefault("group", "gateway.networking.k8s.io")
        parent.setdefault("kind", "Gateway")
    for rule in document["spec"]["rules"]:
        for backend in rule["backendRefs"]:
            backend.update({"group": "", "kind": "Service", "weight": 1, **backend})


_SUBSETS: Final = ({"host": "kv", "subset": "stable"}, {"host": "kv", "subset": "canary"})
_SERVICES: Final = ({"host": "kv-stable"}, {"host": "kv-canary.shop.svc.cluster.local"})
_ISTIO: Final = "networking.istio.io/v1/virtualservices"
_GATEWAY: Final = {
    "parentRefs": [{"name": "kv"}],
    "hostnames": ["kv.example.com", "kv.example.org"],
}
_SERVICE_PARENT: Final = {"parentRefs": [{"group": "", "kind": "Service", "name": "kv"}]}
_HEADER: Final = [{"headers": [{"name": "x-read", "value": "yes"}]}]

KINDS: Final = {
    "VirtualService, subsets, several hosts": Kind(
        _virtual_service(_SUBSETS, {"hosts": ["kv.example.com", "kv"], "gateways": ["kv", "mesh"]}),
        _ISTIO,
        "http",
        "route",
    ),
    "VirtualService, Services, mesh only": Kind(
        _virtual_service(_SERVICES, {"hosts": ["kv"]}), _ISTIO, "http", "route"
    ),
    "HTTPRoute at a Gateway": Kind(
        _gateway_api("HTTPRoute", _HEADER, _GATEWAY),
        "gateway.networking.k8s.io/v1/httproutes",
        "rules",
        "backendRefs",
        _complete_http,
    ),
    "HTTPRoute in the mesh": Kind(
        _gateway_api("HTTPRoute", _HEADER, _SERVICE_PARENT),
        "gateway.networking.k8s.io/v1/httproutes",
        "rules",
        "backendRefs",
        _complete_http,
    ),
    "GRPCRoute": Kind(
        _gateway_api("GRPCRoute", [{"method": {"service": "shop.Kv", "type": "Exact"}}], _GATEWAY),
        "gateway.networking.k8s.io/v1/grpcroutes",
        "rules",
        "backendRefs",
        _complete_references,
    ),
}
