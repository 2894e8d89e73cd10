"""The Deployments of a plan: images, scale, readiness, promotion and the way back."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.workloads import BEFORE, ClusterWorkloads
from rollout.plan.model import WorkloadNames
from rollout.runner.ports import TargetFailed
from rollout.runner.release_state import ReleaseState
from rollout.runner.workloads import Pods
from tests.rollout.cluster.virtual_services import QUICK, canary_plan
from tests.support.api_server import ApiServer
from tests.support.deployments import DEPLOYMENTS, DeploymentController, deployment
from tests.support.waiting import eventually

Json = dict[str, Any]
NEW: Final = ReleaseState(images={"": "reg/kv:2"}, stable_pods=4)
HPA: Final = "autoscaling/v2/horizontalpodautoscalers"
PDB: Final = "policy/v1/poddisruptionbudgets"
SCALED: Final = "keda.sh/v1alpha1/scaledobjects"


def spec_of(server: ApiServer, name: str) -> Json:
    spec: Json = server.objects[DEPLOYMENTS, "shop", name]["spec"]
    return spec


def image_of(server: ApiServer, name: str) -> str:
    return str(spec_of(server, name)["template"]["spec"]["containers"][0]["image"])


@pytest.fixture
async def workloads(server: ApiServer, client: AsyncClient) -> AsyncIterator[ClusterWorkloads]:
    server.put(DEPLOYMENTS, deployment("kv", "shop", "stable", "reg/kv:1", 4))
    server.put(DEPLOYMENTS, deployment("kv-canary", "shop", "canary", "reg/kv:1", 0))
    plan = dataclasses.replace(canary_plan(), workloads=WorkloadNames("kv", "kv-canary"))
    with DeploymentController(server).running():
        yield ClusterWorkloads(client, plan, QUICK)


async def until_ready(action: Any) -> Pods:
    return await until_pods(action, lambda pods: pods.ready)


async def until_pods(action: Any, wanted: Callable[[Pods], bool]) -> Pods:
    async def look() -> Pods | None:
        pods: Pods = await action()
        return pods if wanted(pods) else None

    found: Pods = await eventually(look, what="the pods")
    return found


async def test_a_release_goes_to_the_canary_and_then_to_the_stable_pods(
    server: ApiServer, workloads: ClusterWorkloads
) -> None:
    first = await workloads.prepare(NEW, 0.0)
    assert not first.ready
    assert first.detail.startswith("0 of 1 pods of Deployment kv-canary are ready")
    await until_ready(lambda: workloads.prepare(NEW, 0.0))
    assert image_of(server, "kv-canary") == "reg/kv:2"
    # The label names the release of the image, and the service reads it from there.
    assert spec_of(server, "kv-canary")["template"]["metadata"]["labels"]["version"] == "2"

    for share, pods in ((0.05, 1), (0.3, 2), (1.0, 4)):
        await until_ready(lambda: workloads.prepare(NEW, share))  # noqa: B023
        assert spec_of(server, "kv-canary")["replicas"] == pods

    old = copy.deepcopy(spec_of(server, "kv"))
    await until_ready(lambda: workloads.promote(NEW))
    template = spec_of(server, "kv")["template"]
    assert template["metadata"]["labels"] == {"app": "kv", "track": "stable", "version": "2"}
    assert image_of(server, "kv") == "reg/kv:2"

    await until_ready(workloads.restore)
    assert spec_of(server, "kv") == old
    await until_ready(lambda: workloads.promote(NEW))
    await workloads.retire()
    assert spec_of(server, "kv-canary")["replicas"] == 0
    assert BEFORE not in server.objects[DEPLOYMENTS, "shop", "kv"]["metadata"]["annotations"]

    async def retire_again() -> bool:
        writes = len(server.writes())
        await workloads.retire()
        return len(server.writes()) == writes

    # As after a kill: nothing is written, once the fields are given back. That is not tried again
    # at once if the pods' controller writes in the same moment.
    await eventually(retire_again)
    writes = len(server.writes())
    await workloads.promote(dataclasses.replace(NEW))
    assert len(server.writes()) == writes


async def test_the_way_back_is_to_the_template_of_before_the_first_promotion(
    server: ApiServer, workloads: ClusterWorkloads
) -> None:
    """Also if somebody restarts the canary's pods meanwhile, which changes their template."""
    await until_ready(lambda: workloads.prepare(NEW, 1.0))
    old = copy.deepcopy(spec_of(server, "kv")["template"])
    await until_ready(lambda: workloads.promote(NEW))
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-12-01T00:00:00Z"}
    server.edit(
        DEPLOYMENTS,
        "shop",
        "kv-canary",
        lambda it: it["spec"]["template"]["metadata"].update(annotations=restarted),
    )
    await until_ready(lambda: workloads.promote(NEW))
    assert spec_of(server, "kv")["template"]["metadata"]["annotations"] == restarted

    await until_ready(workloads.restore)

    assert spec_of(server, "kv")["template"] == old


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("never", "container kv runs and is not ready"),
        ("crash", "container kv: CrashLoopBackOff (last exit Error, code 3)"),
        ("evicted", "Evicted (low on memory)"),
    ],
)
async def test_pods_that_do_not_get_ready_are_named_with_the_reason(
    server: ApiServer, workloads: ClusterWorkloads, tag: str, why: str
) -> None:
    server.edit(
        DEPLOYMENTS, "shop", "kv-canary", lambda it: it["spec"].update(progressDeadlineSeconds=700)
    )
    release = ReleaseState(images={"kv": f"reg/kv:{tag}"}, stable_pods=4)

    pods = await until_pods(
        lambda: workloads.prepare(release, 0.5), lambda found: why in found.detail
    )

    assert pods == Pods(
        ready=False,
        detail=f"0 of 2 pods of Deployment kv-canary are ready: {why}",
        deadline_seconds=700,
    )


async def test_a_container_that_is_not_there_and_two_without_a_name_are_refused(
    server: ApiServer, workloads: ClusterWorkloads
) -> None:
    with pytest.raises(TargetFailed, match="kv-canary has no container web; it has kv"):
        await workloads.prepare(ReleaseState(images={"web": "a:1"}), 0.1)

    def add(document: Json) -> None:
        document["spec"]["template"]["spec"]["containers"].append({"name": "log", "image": "l:1"})

    server.edit(DEPLOYMENTS, "shop", "kv-canary", add)
    with pytest.raises(TargetFailed, match="containers kv, log: say which one"):
        await workloads.prepare(NEW, 0.1)


def autoscaler(name: str, **spec: Any) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    metadata = {"name": f"of-{name}", "namespace": "shop"}
    spec = {"scaleTargetRef": target, "maxReplicas": 9} | spec
    return {"kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


async def test_an_autoscaler_of_the_canary_owns_its_pods(
    server: ApiServer, workloads: ClusterWorkloads
) -> None:
    server.put(HPA, autoscaler("kv-canary", minReplicas=2))
    await workloads.check()

    # It sleeps at 0 pods, and is woken.
    await until_ready(lambda: workloads.prepare(NEW, 1.0))
    assert spec_of(server, "kv-canary")["replicas"] == 2
    await workloads.retire()
    assert spec_of(server, "kv-canary")["replicas"] == 2


def scaled_object(**more: Any) -> Json:
    metadata = {"name": "of-canary", "namespace": "shop", **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"scaleTargetRef": {"name": "kv-canary"}, **more}}


def budget(**spec: Any) -> Json:
    selector = {"matchLabels": {"track": "stable"}}
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "kv", "namespace": "shop"},
        "spec": {"selector": selector, **spec},
    }


@pytest.mark.parametrize(
    ("collection", "document", "why"),
    [
        (HPA, autoscaler("kv-canary", maxReplicas=3), "allows the canary 3 pods, and the stable"),
        (HPA, autoscaler("kv", minReplicas=2), "may remove stable pods while the canary has"),
        (SCALED, scaled_object(), "may remove all pods"),
        (
            SCALED,
            scaled_object(metadata={"annotations": {"autoscaling.keda.sh/paused-replicas": "1"}}),
            "holds its pods at 1",
        ),
        # 25 % of 4 pods may be missing by default.
        (PDB, budget(minAvailable=4), "asks for 4 available pods, and rolling Deployment kv may"),
        (PDB, budget(maxUnavailable=0), "asks for 4 available pods"),
    ],
)
async def test_what_rules_over_the_pods_is_respected_or_the_rollout_refused(
    server: ApiServer, workloads: ClusterWorkloads, collection: str, document: Json, why: str
) -> None:
    server.put(collection, document)

    with pytest.raises(TargetFailed, match=why):
        await workloads.check()

    assert not server.writes()


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        (HPA, autoscaler("kv", minReplicas=4)),
        (HPA, autoscaler("kv", behavior={"scaleDown": {"selectPolicy": "Disabled"}})),
        (SCALED, scaled_object(minReplicaCount=1)),
        (PDB, budget(maxUnavailable="25%")),
        (HPA, autoscaler("another", maxReplicas=1)),
    ],
)
async def test_what_leaves_enough_pods_is_accepted(
    server: ApiServer, workloads: ClusterWorkloads, collection: str, document: Json
) -> None:
    server.put(collection, document)

    await workloads.check()


async def test_pods_that_may_not_be_listed_are_counted_and_a_missing_right_is_named(
    server: ApiServer, workloads: ClusterWorkloads
) -> None:
    server.forbidden.add(("list", "pods"))
    assert (await workloads.prepare(NEW, 0.0)).detail.startswith("0 of 1 pods")

    server.forbidden.add(("list", "horizontalpodautoscalers"))
    with pytest.raises(TargetFailed, match="grant list on horizontalpodautoscalers in shop"):
        await workloads.check()
