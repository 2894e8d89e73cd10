"""Another controller of the weights is found and named; a failed lookup is a warning."""

from __future__ import annotations

from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.target import ClusterTarget
from rollout.runner.ports import ManagedByOther, TargetFailed
from tests.rollout.cluster.virtual_services import (
    COLLECTION,
    QUICK,
    canary_plan,
    live,
    share,
    step,
    weights,
)
from tests.support.api_faults import Faults
from tests.support.api_server import ApiServer
from tests.support.manifests import render

Json = dict[str, Any]
KEY: Final = (COLLECTION, "shop", "kv")
CANARIES: Final = "flagger.app/v1beta1/canaries"
ROLLOUTS: Final = "argoproj.io/v1alpha1/rollouts"


def owned_by(api_version: str, kind: str) -> Json:
    return {"ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": "kv"}]}


def written_by(manager: str, fields: Json | None = None, **more: Any) -> Json:
    written = {"f:spec": {"f:http": {}}} if fields is None else fields
    return {"managedFields": [{"manager": manager, "fieldsV1": written} | more]}


OWNED: Final[dict[str, tuple[Json, str]]] = {
    "Flagger's Canary": (owned_by("flagger.app/v1beta1", "Canary"), "Flagger's Canary kv owns"),
    "Argo's Rollout": (owned_by("argoproj.io/v1alpha1", "Rollout"), "Argo Rollouts's Rollout kv"),
    "flagger": (written_by("flagger"), "Flagger .field manager flagger. wrote"),
    "rollouts-controller": (written_by("rollouts-controller"), "Argo Rollouts .field manager r"),
    "argo-rollouts": (written_by("argo-rollouts"), "Argo Rollouts .field manager argo-rollouts"),
}
FREE: Final[dict[str, Json]] = {
    "owned by something else": owned_by("example.com/v1", "Shop"),
    "flagger wrote a label": written_by("flagger", {"f:metadata": {"f:labels": {}}}),
    "flagger wrote a host": written_by("flagger", {"f:spec": {"f:hosts": {}}}),
    "flagger wrote the status": written_by("flagger", subresource="status"),
    "kubectl wrote it": written_by("kubectl"),
}


def canary(name: str, *, target: str | None = None, service: str | None = None) -> Json:
    spec: Json = {"service": {"port": 80} | ({"name": service} if service else {})}
    if target:
        spec["targetRef"] = {"kind": "Deployment", "name": target}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def rollout(name: str, **istio: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"strategy": {"canary": {"trafficRouting": {"istio": istio}}}},
    }


CLAIMS: Final[dict[str, tuple[str, Json, bool]]] = {
    "a Canary of this target": (CANARIES, canary("other", target="kv"), True),
    "a Canary of this Service": (CANARIES, canary("other", target="web", service="kv"), True),
    "a Canary of this name": (CANARIES, canary("kv"), True),
    "a Canary of another Service": (CANARIES, canary("kv", target="kv", service="web"), False),
    "a Rollout": (ROLLOUTS, rollout("r", virtualService={"name": "kv"}), True),
    "a Rollout, namespace given": (
        ROLLOUTS,
        rollout("r", virtualService={"name": "kv.shop"}),
        True,
    ),
    "a Rollout of several": (
        ROLLOUTS,
        rollout("r", virtualServices=[{"name": "web"}, {"name": "kv"}]),
        True,
    ),
    "a Rollout of another": (ROLLOUTS, rollout("r", virtualService={"name": "web"}), False),
    "a Rollout elsewhere": (ROLLOUTS, rollout("r", virtualService={"name": "kv.bar"}), False),
    "a Rollout without Istio": (ROLLOUTS, {"metadata": {"name": "r", "namespace": "shop"}}, False),
}


@pytest.mark.parametrize("name", ["w0", "w10"])
@pytest.mark.parametrize("who", OWNED)
async def test_an_object_that_a_controller_manages_is_not_changed(
    server: ApiServer, client: AsyncClient, who: str, name: str
) -> None:
    metadata, said = OWNED[who]
    document = live(share(50))
    document["metadata"] |= metadata
    server.put(COLLECTION, document)
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    with pytest.raises(ManagedByOther, match=said):
        await target.apply(step(steps, name))
    with pytest.raises(ManagedByOther, match=said):
        await target.check()

    assert server.writes() == []


@pytest.mark.parametrize("what", FREE)
async def test_an_object_that_no_controller_manages_is_changed(
    server: ApiServer, client: AsyncClient, what: str
) -> None:
    document = live(share(0))
    document["metadata"] |= FREE[what]
    server.put(COLLECTION, document)
    steps = canary_plan()

    await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    assert weights(server.objects[KEY]) == [[90, 10]] * 2


@pytest.mark.parametrize("what", CLAIMS)
async def test_routes_that_another_controller_names_are_not_changed(
    server: ApiServer, client: AsyncClient, what: str
) -> None:
    collection, document, claimed = CLAIMS[what]
    server.put(COLLECTION, live(share(50)))
    server.put(collection, document)
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    if not claimed:
        await target.apply(step(steps, "w10"))
        assert target.warnings == ()
        return
    name = document["metadata"]["name"]
    with pytest.raises(
        ManagedByOther, match=f"shop/{name} sets the weights of VirtualService shop/kv"
    ):
        await target.apply(step(steps, "w10"))
    assert server.writes() == []


@pytest.mark.parametrize(
    ("directory", "kind", "collection"),
    [
        ("istio/flagger", "Canary", CANARIES),
        ("istio/argo-rollouts", "Rollout", ROLLOUTS),
    ],
)
async def test_our_own_manifests_for_other_controllers_are_seen(
    server: ApiServer, client: AsyncClient, directory: str, kind: str, collection: str
) -> None:
    [document] = [each for each in render(directory) if each["kind"] == kind]
    document["metadata"]["namespace"] = "shop"
    server.put(COLLECTION, live(share(0)))
    server.put(collection, document)
    target = ClusterTarget(client, canary_plan(), QUICK)

    with pytest.raises(ManagedByOther, match=f"{kind} shop/kv sets the weights"):
        await target.check()


async def test_unknown_kinds_are_no_finding(server: ApiServer, client: AsyncClient) -> None:
    server.put(COLLECTION, live(share(0)))

    assert await ClusterTarget(client, canary_plan(), QUICK).check() == ()


async def test_what_may_not_be_listed_is_a_warning(server: ApiServer, client: AsyncClient) -> None:
    server.put(COLLECTION, live(share(0)))
    server.forbidden = {("list", "canaries"), ("list", "rollouts")}
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    await target.apply(step(steps, "w10"))
    await target.apply(step(steps, "w50"))

    assert [each.partition(":")[0] for each in target.warnings] == [
        "no permission to list canaries in shop",
        "no permission to list rollouts in shop",
    ]
    assert weights(server.objects[KEY]) == [[50, 50]] * 2


@pytest.mark.parametrize(
    ("where", "key", "tool"),
    [
        ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
        ("labels", "argocd.argoproj.io/instance", "Argo CD"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
        ("labels", "helm.toolkit.fluxcd.io/name", "Flux"),
    ],
)
async def test_a_gitops_tool_is_a_warning(
    server: ApiServer, client: AsyncClient, where: str, key: str, tool: str
) -> None:
    document = live(share(0))
    document["metadata"][where][key] = "kv"
    server.put(COLLECTION, document)

    [warning] = await ClusterTarget(client, canary_plan(), QUICK).check()

    assert warning.startswith(f"{tool} keeps VirtualService shop/kv ({key})")


async def test_a_rollback_makes_no_lists(server: ApiServer, client: AsyncClient) -> None:
    server.put(COLLECTION, live(share(50)))
    steps = canary_plan()

    await ClusterTarget(client, steps, QUICK).apply(step(steps, "w0"))

    assert {each.plural for each in server.requests} == {"virtualservices"}
    assert weights(server.objects[KEY]) == [[100, 0]] * 2


async def test_lists_that_fail_keep_a_step_from_being_applied(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(share(0)))
    server.faults = Faults(status=400, methods=frozenset({"GET"}))
    steps = canary_plan()

    with pytest.raises(TargetFailed, match="refuses to list"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))
