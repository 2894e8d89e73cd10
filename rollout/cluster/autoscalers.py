"""What else rules over the pods of a plan's workloads: HPA, KEDA's ScaledObject, PDB. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Document = Mapping[str, Any]
#: Kubernetes' default of a rolling update's maxUnavailable.
_MAX_UNAVAILABLE: Final = "25%"
_PAUSED: Final = "autoscaling.keda.sh/paused"
_PAUSED_REPLICAS: Final = "autoscaling.keda.sh/paused-replicas"


@dataclass(frozen=True, slots=True)
class Rulers:
    """The objects of a namespace that rule over the number of pods."""

    autoscalers: Sequence[Document] = ()
    scaled_objects: Sequence[Document] = ()
    budgets: Sequence[Document] = ()

    def autoscaler_of(self, deployment: Document) -> Document | None:
        """Return the HorizontalPodAutoscaler that owns the replicas of a Deployment, or None."""
        name = deployment["metadata"]["name"]
        return next((each for each in self.autoscalers if _targets(each, name)), None)

    def owns_replicas(self, deployment: Document) -> bool:
        """Return True if an autoscaler sets the number of pods."""
        name = deployment["metadata"]["name"]
        return self.autoscaler_of(deployment) is not None or any(
            _targets(each, name) for each in self.scaled_objects
        )

    def least_pods(self, deployment: Document) -> int:
        """Return how many pods an autoscaler keeps at least: with 0 it sleeps until woken."""
        owner = self.autoscaler_of(deployment)
        return 1 if owner is None else owner["spec"].get("minReplicas", 1)


def refusals(rulers: Rulers, stable: Document, canary: Document, pods: int) -> Iterator[str]:
    """Yield why these workloads can't be released safely; ``pods`` serve all requests now."""
    labels = [each["spec"]["selector"].get("matchLabels") for each in (stable, canary)]
    if not all(labels) or labels[0] == labels[1]:
        yield (
            "the selectors of the two Deployments must have matchLabels that differ, so that each"
            " finds its own pods"
        )
    for each in rulers.scaled_objects:
        for deployment in (stable, canary):
            if _targets(each, deployment["metadata"]["name"]):
                yield from _refuse_scaled_object(each)
    if (owner := rulers.autoscaler_of(canary)) and owner["spec"]["maxReplicas"] < pods:
        yield (
            f"{_title(owner)} allows the canary {owner['spec']['maxReplicas']} pods, and the stable"
            f" release has {pods}; raise maxReplicas"
        )
    if (owner := rulers.autoscaler_of(stable)) and _may_remove_pods(owner, pods):
        yield (
            f"{_title(owner)} may remove stable pods while the canary has the requests, and a"
            " rollback would find too few; set behavior.scaleDown.selectPolicy: Disabled until the"
            f" end, or minReplicas: {pods}"
        )
    for budget in rulers.budgets:
        yield from _refuse_budget(budget, stable, canary, pods)


def _refuse_scaled_object(found: Document) -> Iterator[str]:
    annotations = found["metadata"].get("annotations") or {}
    title = f"ScaledObject {found['metadata']['name']}"
    if _PAUSED_REPLICAS in annotations:
        yield f"{title} holds its pods at {annotations[_PAUSED_REPLICAS]}; end that pause"
    elif annotations.get(_PAUSED) != "true" and not found["spec"].get("minReplicaCount"):
        yield (
            f"{title} may remove all pods, and a step would wait for them for ever; set"
            " minReplicaCount to 1 or more"
        )


def _may_remove_pods(autoscaler: Document, pods: int) -> bool:
    spec = autoscaler["spec"]
    down = (spec.get("behavior") or {}).get("scaleDown") or {}
    return down.get("selectPolicy") != "Disabled" and spec.get("minReplicas", 1) < pods


def _refuse_budget(
    budget: Document, stable: Document, canary: Document, pods: int
) -> Iterator[str]:
    """Yield if rolling the stable pods would leave fewer than the budget asks for."""
    selected = [each for each in (stable, canary) if _selects(budget, each)]
    if stable not in selected:
        return
    # The canary has the requests then, and as many pods.
    count = pods * len(selected)
    strategy = stable["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        lost = pods
    else:
        given = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", _MAX_UNAVAILABLE)
        lost = _number(given, pods, math.floor)
    spec = budget["spec"]
    if "minAvailable" in spec:
        needed = _number(spec["minAvailable"], count, math.ceil)
    else:
        needed = count - _number(spec.get("maxUnavailable", 0), count, math.ceil)
    if count - lost < needed:
        yield (
            f"{_title(budget)} asks for {needed} available pods, and rolling Deployment"
            f" {stable['metadata']['name']} may leave {count - lost}; lower maxUnavailable of its"
            " rolling update"
        )


def _selects(budget: Document, deployment: Document) -> bool:
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    wanted = (budget["spec"].get("selector") or {}).get("matchLabels") or {}
    return bool(wanted) and wanted.items() <= labels.items()


def _number(value: Any, of: int, rounding: Any) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounding(of * float(value[:-1]) / 100))
    return int(value)


def _targets(autoscaler: Document, deployment: str) -> bool:
    reference = autoscaler["spec"].get("scaleTargetRef") or {}
    found = reference.get("kind", "Deployment"), reference.get("name")
    return found == ("Deployment", deployment)


def _title(found: Document) -> str:
    return f"{found.get('kind', 'object')} {found['metadata']['name']}"
