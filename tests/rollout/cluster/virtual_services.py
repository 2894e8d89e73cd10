"""VirtualServices of a cluster, and plans that change their weights."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

from rollout.cluster.live_routes import Timeouts
from rollout.evidence.objective import Objective
from rollout.manifests.parsing import parse_manifest
from rollout.manifests.virtual_service import VirtualService
from rollout.plan.model import Plan, Step, Strategy

Json = dict[str, Any]
COLLECTION: Final = "networking.istio.io/v1/virtualservices"
QUICK: Final = Timeouts(
    retry_seconds=60,
    backoff_seconds=0.01,
    max_attempts=6,
    confirm_seconds=0.3,
    propagation_seconds=0,
)


def to(subset: str, weight: int | None = None, **more: Any) -> Json:
    entry: Json = {"destination": {"host": "kv", "port": {"number": 8080}, "subset": subset}}
    return entry | ({} if weight is None else {"weight": weight}) | more


def rule(name: str | None, *route: Json, **more: Any) -> Json:
    return ({} if name is None else {"name": name}) | more | {"route": list(route)}


def reads(*route: Json) -> Json:
    match = [{"method": {"regex": "GET|HEAD"}, "uri": {"regex": "/.+"}}]
    return rule("reads", *route, match=match, timeout="7s", retries={"attempts": 2})


def writes(*route: Json) -> Json:
    return rule("writes", *route, timeout="15s", retries={"attempts": 0})


def virtual_service(*http: Json) -> Json:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "kv", "namespace": "shop", "labels": {"app": "kv"}},
        "spec": {
            "hosts": ["kv.example.com", "kv"],
            "gateways": ["kv", "mesh"],
            # A copy, so that no two rules share an object.
            "http": json.loads(json.dumps(http)),
        },
    }


def share(percent: int) -> Json:
    both = to("stable", 100 - percent), to("canary", percent)
    return virtual_service(reads(*both), writes(*both))


def all_to(subset: str) -> Json:
    return virtual_service(reads(to(subset, 100)), writes(to(subset, 100)))


def plan(strategy: Strategy, **documents: Json) -> Plan:
    """Make a plan with these steps; a keyword is the name of its step."""
    steps = []
    for name, document in documents.items():
        parsed = parse_manifest(document)
        assert isinstance(parsed.manifest, VirtualService), parsed.errors
        steps.append(Step(name, None, parsed.manifest, document))
    return Plan("kv", strategy, "stable", "canary", tuple(steps), Objective())


def canary_plan() -> Plan:
    return plan(Strategy.CANARY, **{f"w{each}": share(each) for each in (0, 10, 50, 100)})


def blue_green_plan() -> Plan:
    return plan(Strategy.BLUE_GREEN, blue=all_to("blue"), green=all_to("green"))


def ab_plan() -> Plan:
    off = all_to("stable")
    match = [{"headers": {"x-variant": {"exact": "b"}}}]
    chosen = rule("b", to("canary", 100), match=match, timeout="7s")
    on = virtual_service(chosen, *off["spec"]["http"])
    return plan(Strategy.AB, off=off, on=on)


def step(of: Plan, name: str) -> Step:
    return next(each for each in of.steps if each.name == name)


def live(document: Json) -> Json:
    """Return the document as a cluster has it, with metadata that others have written."""
    found = copy.deepcopy(document)
    found["metadata"] |= {
        "labels": {"app": "kv", "team": "shop"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{…}\n", "note": "é"},
        "finalizers": ["example.com/keep"],
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [
            {
                "manager": "kubectl-client-side-apply",
                "operation": "Update",
                "time": "2026-01-01T00:00:00Z",
                "fieldsV1": {"f:spec": {"f:hosts": {}, "f:http": {}}},
            }
        ],
    }
    return found


def weights(document: Json) -> list[list[int | None]]:
    return [[each.get("weight") for each in one["route"]] for one in document["spec"]["http"]]


def subsets(document: Json) -> dict[str, list[str]]:
    return {
        one["name"]: [each["destination"]["subset"] for each in one["route"]]
        for one in document["spec"]["http"]
    }


def unmanaged(document: Json, *, managed: str = "weight") -> str:
    """Return the object as JSON, without what a rollout may change."""
    rest = copy.deepcopy(document)
    for each in ("resourceVersion", "generation", "managedFields"):
        rest["metadata"].pop(each, None)
    for one in rest["spec"]["http"]:
        for entry in one["route"]:
            entry.pop(managed, None)
    return json.dumps(rest)
