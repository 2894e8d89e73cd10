"""The plans under istio/ as their READMEs have them, and a cluster that walks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.istio.test_routes import ISTIO, Json, steps
from tests.support.manifests import ROOT, containers, is_selected, of_kind, render, templates

#: ("apply" or "delete", directory). The tests add the ``steps``.
Walk = Sequence[tuple[str, str]]

CANARY_STEPS: Final = steps("istio/canary")
BEFORE: Final = [("apply", "istio/gateway")]


def applied(*directories: str) -> list[tuple[str, str]]:
    return [("apply", directory) for directory in directories]


def removed(strategy: str) -> list[tuple[str, str]]:
    """Return 9-remove in its order. Workloads are deleted, the others applied."""
    below = sorted(
        path.parent for path in (ISTIO / strategy / "9-remove").glob("*/kustomization.yaml")
    )
    return [
        ("delete" if path.name.endswith("workloads") else "apply", str(path.relative_to(ROOT)))
        for path in below
    ]


#: Each plan as its README has it, with an abort in between.
WALKS: Final[dict[str, list[tuple[str, str]]]] = {
    "canary": [
        *BEFORE,
        *applied("istio/canary/1-workloads", "istio/canary/2-subsets", *CANARY_STEPS),
        *applied("istio/canary/steps/00", "istio/canary/steps/100", "istio/canary/4-promote"),
        *applied("istio/canary/steps/50", "istio/canary/steps/00", "istio/gateway/stable"),
        *removed("canary"),
    ],
    "canary-baseline": [
        *BEFORE,
        *applied("istio/canary-baseline/1-workloads", "istio/canary-baseline/2-subsets"),
        *applied(*steps("istio/canary-baseline"), "istio/canary-baseline/steps/00"),
        *applied("istio/canary/steps/00", "istio/canary/2-subsets"),
        ("delete", "istio/canary-baseline/workload"),
        *applied("istio/canary/steps/100", "istio/canary/4-promote"),
        *applied("istio/canary/steps/50", "istio/canary/steps/00", "istio/gateway/stable"),
        *removed("canary"),
    ],
    "sticky": [
        *BEFORE,
        *applied("istio/canary/1-workloads", "istio/canary/2-subsets", "istio/canary/steps/00"),
        *applied(*steps("istio/canary/sticky"), "istio/canary/steps/00", "istio/gateway/stable"),
        *removed("canary"),
    ],
    "blue-green": [
        *BEFORE,
        *applied("istio/blue-green/1-workloads", "istio/blue-green/2-subsets"),
        *applied("istio/blue-green/steps/blue"),
        ("delete", "istio/gateway/stable"),
        *applied("istio/blue-green/steps/green", "istio/blue-green/steps/blue"),
        *applied("istio/blue-green/settled", "istio/gateway/stable"),
        *removed("blue-green"),
    ],
    "ab": [
        *BEFORE,
        *applied("istio/ab/1-workloads", "istio/ab/2-subsets"),
        *applied("istio/ab/steps/on", "istio/ab/steps/off"),
        *removed("ab"),
    ],
    "mirror": [
        *BEFORE,
        *applied("istio/mirror/1-workloads", "istio/mirror/2-limits", *steps("istio/mirror")),
        *applied("istio/mirror/steps/00"),
        *removed("mirror"),
    ],
    "microservices": [
        *BEFORE,
        *applied("istio/microservices/1-workloads", "istio/microservices/2-policies"),
        *applied("istio/microservices/steps/split", "istio/microservices/steps/whole"),
        *removed("microservices"),
    ],
    "gateway-api": [
        *applied("istio/gateway-api/1-workloads", "istio/gateway-api/2-listener"),
        *applied(*steps("istio/gateway-api"), "istio/canary/4-promote"),
        *applied("istio/gateway-api/steps/50", "istio/gateway-api/steps/00"),
        *applied("istio/gateway/stable"),
    ],
    "fault-staging": [
        *applied("kustomize/overlays/staging", "istio/fault/staging/1-subsets"),
        *applied("istio/fault/staging/steps/on", "istio/fault/staging/steps/off"),
    ],
    "fault-dev": [
        *applied("kustomize/overlays/dev", "istio/fault/dev/1-subsets"),
        *applied("istio/fault/dev/steps/on", "istio/fault/dev/steps/off"),
    ],
}


class Cluster:
    """The applied objects, as if every pod were ready and every proxy up to date."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str], Json] = {}

    def keys(self) -> set[tuple[str, str, str]]:
        return set(self._objects)

    def do(self, verb: str, directory: str | Path) -> None:
        for each in render(directory):
            key = (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
            if verb == "apply":
                self._objects[key] = each
            else:
                del self._objects[key]

    def walk(self, plan: Walk) -> None:
        """Apply the directories. Raise AssertionError if a route ever has no destination."""
        for verb, directory in plan:
            self.do(verb, directory)
            lost = [*self.leading_nowhere(), *self.missing()]
            assert not lost, f"after {verb} {directory}: {'; '.join(lost)}"

    def leading_nowhere(self) -> Iterator[str]:
        """Return the destinations and mirrors of routes that have no pods."""
        for each in self.all("VirtualService"):
            space = each["metadata"]["namespace"]
            for route in each["spec"]["http"]:
                for to in [*route["route"], *route.get("mirrors", [])]:
                    if not self._answered(space, **to["destination"]):
                        yield f"{route['name']} leads to {to['destination']}"
            for gateway in each["spec"]["gateways"]:
                if gateway != "mesh" and not self._has("Gateway", space, gateway):
                    yield f"there is no Gateway {gateway}"
        for each in self.all("HTTPRoute"):
            space = each["metadata"]["namespace"]
            for rule in each["spec"]["rules"]:
                for to in rule["backendRefs"]:
                    if not self._answered(space, to["name"], {"number": to["port"]}):
                        yield f"the HTTPRoute leads to {to['name']}"
            for parent in each["spec"]["parentRefs"]:
                kind = parent.get("kind", "Gateway")
                if not self._has(kind, parent.get("namespace", space), parent["name"]):
                    yield f"there is no {kind} {parent['name']}"

    def missing(self) -> Iterator[str]:
        """Return missing objects that others refer to, and pods with two disruption budgets."""
        for owner, template in templates([*self._objects.values()]):
            space, labels = owner["metadata"]["namespace"], template["metadata"]["labels"]
            for container in containers(template):
                for source in container.get("envFrom", []):
                    if not self._has("ConfigMap", space, source["configMapRef"]["name"]):
                        yield f"{owner['metadata']['name']} has no {source['configMapRef']['name']}"
            if not self._has("ServiceAccount", space, template["spec"]["serviceAccountName"]):
                yield f"{owner['metadata']['name']} has no ServiceAccount"
            budgets = [
                each["metadata"]["name"]
                for each in self.all("PodDisruptionBudget")
                if is_selected(labels, each["spec"]["selector"])
            ]
            if len(budgets) > 1:
                # Kubernetes can't evict a pod with two budgets.
                yield f"{' and '.join(budgets)} both claim {owner['metadata']['name']}"
        for each in self.all("HorizontalPodAutoscaler"):
            target = each["spec"]["scaleTargetRef"]
            if not self._has(target["kind"], each["metadata"]["namespace"], target["name"]):
                yield f"{each['metadata']['name']} scales nothing"

    def _answered(self, space: str, host: str, port: Json, subset: str | None = None) -> bool:
        service = self._objects.get(("Service", space, host))
        if service is None or port["number"] not in {p["port"] for p in service["spec"]["ports"]}:
            return False
        wanted = dict(service["spec"]["selector"])
        if subset is not None:
            rule = self._objects.get(("DestinationRule", space, host), {"spec": {"subsets": []}})
            labels = [s["labels"] for s in rule["spec"]["subsets"] if s["name"] == subset]
            if not labels:
                return False
            wanted |= labels[0]
        return any(
            owner["metadata"]["namespace"] == space
            and wanted.items() <= template["metadata"]["labels"].items()
            for owner, template in templates([*self._objects.values()])
        )

    def all(self, kind: str) -> list[Json]:
        return of_kind([*self._objects.values()], kind)

    def _has(self, kind: str, space: str, name: str) -> bool:
        return (kind, space, name) in self._objects
