"""A step of several objects: all have its weights, or none."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.api_client import ApiClient
from rollout.cluster.live_weights import describe_drift, read_all_weights
from rollout.cluster.target import ClusterTarget
from rollout.evidence.objective import Objective
from rollout.manifests.parsing import parse_manifest
from rollout.manifests.weighted_rules import Routes
from rollout.plan.model import Plan, RouteObject, Step, Strategy
from rollout.runner.ports import RoutesEdited, TargetFailed
from tests.rollout.cluster.virtual_services import COLLECTION, QUICK, live, share, step, weights
from tests.support.api_objects import ReceivedRequest
from tests.support.api_server import ApiServer

Json = dict[str, Any]
NAMES: Final = ("kv", "kv-internal")


def document(name: str, percent: int) -> Json:
    made = copy.deepcopy(share(percent))
    made["metadata"]["name"] = name
    return made


def route_object(name: str, percent: int) -> RouteObject:
    parsed = parse_manifest(document(name, percent))
    assert isinstance(parsed.manifest, Routes), parsed.errors
    return RouteObject(parsed.manifest, document(name, percent))


@pytest.fixture
def plan() -> Plan:
    steps = []
    for percent in (0, 10, 100):
        first, *others = (route_object(name, percent) for name in NAMES)
        steps.append(
            Step(f"w{percent}", percent / 100, first.routes, first.document, others=tuple(others))
        )
    return Plan("kv", Strategy.CANARY, "stable", "canary", tuple(steps), Objective())


@pytest.fixture
def target(server: ApiServer, client: AsyncClient, plan: Plan) -> ClusterTarget:
    for name in NAMES:
        server.put(COLLECTION, live(document(name, 0)))
    return ClusterTarget(client, plan, QUICK)


def percentages(server: ApiServer) -> list[int | None]:
    return [weights(server.objects[COLLECTION, "shop", name])[0][1] for name in NAMES]


def set_percentage(server: ApiServer, name: str, percent: int) -> None:
    spec = document(name, percent)["spec"]
    server.edit(COLLECTION, "shop", name, lambda found: found.update(spec=spec))


def refuse(server: ApiServer, name: str, why: str = "frozen until Monday") -> None:
    """Let an admission webhook reject each change of an object."""

    def review(found: Json) -> str | None:
        return why if found["metadata"]["name"] == name else None

    server.validate = review


async def test_all_objects_are_changed(
    server: ApiServer, target: ClusterTarget, plan: Plan
) -> None:
    await target.apply(step(plan, "w10"))

    assert percentages(server) == [10, 10]
    assert await target.in_force(step(plan, "w10"))
    set_percentage(server, "kv-internal", 0)
    assert not await target.in_force(step(plan, "w10"))
    titles = [title for title, _ in await target.preview(step(plan, "w10"))]
    assert titles == ["VirtualService shop/kv-internal"] * 4


async def test_if_the_second_fails_the_first_is_put_back(
    server: ApiServer, target: ClusterTarget, plan: Plan
) -> None:
    refuse(server, "kv-internal")

    with pytest.raises(
        TargetFailed, match=r"frozen until Monday.*VirtualService shop/kv was put back to step w0"
    ):
        await target.apply(step(plan, "w10"))

    assert percentages(server) == [0, 0]


async def test_what_can_not_be_put_back_is_said(
    server: ApiServer, target: ClusterTarget, plan: Plan
) -> None:
    def freeze(_: ApiServer, request: ReceivedRequest) -> None:
        server.validate = lambda _: "frozen until Monday"

    server.after_patch = freeze

    with pytest.raises(
        TargetFailed, match=r"VirtualService shop/kv could not be put back to step w0 \(.*frozen"
    ):
        await target.apply(step(plan, "w10"))

    assert percentages(server) == [10, 0]
    assert await target.is_between(step(plan, "w0"), step(plan, "w10"))
    assert not await target.is_between(step(plan, "w0"), step(plan, "w100"))


async def test_a_second_object_that_somebody_edited_leaves_the_first_alone(
    server: ApiServer, target: ClusterTarget, plan: Plan
) -> None:
    def edit(found: Json) -> None:
        found["spec"]["http"][0]["route"][1]["destination"]["subset"] = "theirs"

    server.edit(COLLECTION, "shop", "kv-internal", edit)

    with pytest.raises(RoutesEdited, match="no step of the plan has this destination"):
        await target.apply(step(plan, "w10"))

    assert percentages(server)[0] == 0


async def test_a_rollback_takes_back_what_it_can(
    server: ApiServer, target: ClusterTarget, plan: Plan
) -> None:
    await target.apply(step(plan, "w10"))
    refuse(server, "kv")

    with pytest.raises(TargetFailed, match="frozen until Monday"):
        await target.apply(step(plan, "w0"))
    assert percentages(server) == [10, 0]

    server.validate = None
    await target.apply(step(plan, "w0"))
    assert percentages(server) == [0, 0]


async def test_the_status_names_the_object_that_is_not_as_meant(
    server: ApiServer, client: AsyncClient, target: ClusterTarget, plan: Plan
) -> None:
    await target.apply(step(plan, "w10"))
    set_percentage(server, "kv-internal", 0)
    api = ApiClient(client, "shop", retry_seconds=1, backoff_seconds=0.2)

    found = await read_all_weights(api, [("VirtualService", each) for each in NAMES], plan.releases)

    assert describe_drift([*found], "w10", 0.1) == (
        "VirtualService kv-internal spec.http[0].route[1].weight gives the canary 0 %, where step"
        " w10 gives it 10 %"
    )
    assert describe_drift([each for each in found if each.routes.endswith(" kv")], "w10", 0.1) == ""
