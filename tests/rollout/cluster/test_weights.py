"""Steps are put in force in a cluster, and nothing else is changed."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.target import ClusterTarget
from rollout.plan.model import Plan, Strategy
from tests.rollout.cluster.virtual_services import (
    COLLECTION,
    QUICK,
    ab_plan,
    all_to,
    blue_green_plan,
    canary_plan,
    live,
    plan,
    reads,
    rule,
    share,
    step,
    subsets,
    to,
    unmanaged,
    virtual_service,
    weights,
    writes,
)
from tests.support.api_server import ApiServer
from tests.support.manifests import render

KEY: Final = (COLLECTION, "shop", "kv")


def the(documents: list[dict[str, Any]]) -> dict[str, Any]:
    [found] = [each for each in documents if each["kind"] == "VirtualService"]
    return found


async def test_a_canary_walks_all_its_steps_and_back(
    server: ApiServer, client: AsyncClient
) -> None:
    before = server.put(COLLECTION, live(share(0)))
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    for name, canary in (("w0", 0), ("w10", 10), ("w50", 50), ("w100", 100), ("w0", 0)):
        await target.apply(step(steps, name))

        after = server.objects[KEY]
        assert weights(after) == [[100 - canary, canary]] * 2
        assert unmanaged(after) == unmanaged(before)
        assert [await target.in_force(each) for each in steps.steps] == [
            each.name == name for each in steps.steps
        ]


async def test_applying_a_step_twice_writes_once(server: ApiServer, client: AsyncClient) -> None:
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    await target.apply(step(steps, "w10"))
    version = server.objects[KEY]["metadata"]["resourceVersion"]
    await target.apply(step(steps, "w10"))

    assert len(server.writes()) == 1
    assert server.objects[KEY]["metadata"]["resourceVersion"] == version


async def test_a_patch_tests_what_it_changes(server: ApiServer, client: AsyncClient) -> None:
    found = server.put(COLLECTION, live(share(0)))
    steps = canary_plan()

    await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    [written] = server.writes()
    stable, canary = found["spec"]["http"][0]["route"]
    assert (written.method, written.manager) == ("PATCH", "tallykv-rollout")
    tests = [each for each in written.body if each["op"] == "test"]
    assert tests[0]["path"] == "/metadata/resourceVersion"
    assert tests[0]["value"] == found["metadata"]["resourceVersion"]
    assert {(each["path"], str(each["value"])) for each in tests} >= {
        ("/spec/http/0/name", "reads"),
        ("/spec/http/0/route/0/destination", str(stable["destination"])),
        ("/spec/http/0/route/1/destination", str(canary["destination"])),
        ("/spec/http/1/name", "writes"),
    }
    assert [each for each in written.body if each["op"] != "test"] == [
        {"op": "replace", "path": f"/spec/http/{one}/route/{other}/weight", "value": weight}
        for one in (0, 1)
        for other, weight in ((0, 90), (1, 10))
    ]


async def test_a_missing_weight_is_zero(server: ApiServer, client: AsyncClient) -> None:
    both = to("stable", 100), to("canary")
    server.put(COLLECTION, live(virtual_service(reads(*both), writes(*both))))
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    assert await target.in_force(step(steps, "w0"))
    await target.apply(step(steps, "w10"))

    assert weights(server.objects[KEY]) == [[90, 10]] * 2


async def test_the_first_step_adds_the_canary_with_weight_0(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(all_to("stable")))
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    await target.apply(step(steps, "w0"))

    assert subsets(server.objects[KEY]) == {
        each: ["stable", "canary"] for each in ("reads", "writes")
    }
    assert weights(server.objects[KEY]) == [[100, 0]] * 2


async def test_blue_green_flips_and_flips_back(server: ApiServer, client: AsyncClient) -> None:
    before = server.put(COLLECTION, live(all_to("blue")))
    steps = blue_green_plan()
    target = ClusterTarget(client, steps, QUICK)

    for colour in ("green", "blue", "green"):
        await target.apply(step(steps, colour))

        after = server.objects[KEY]
        assert subsets(after) == {"reads": [colour], "writes": [colour]}
        assert unmanaged(after, managed="destination") == unmanaged(before, managed="destination")
        assert await target.in_force(step(steps, colour))


async def test_an_ab_test_comes_and_goes(server: ApiServer, client: AsyncClient) -> None:
    before = server.put(COLLECTION, live(all_to("stable")))
    steps = ab_plan()
    target = ClusterTarget(client, steps, QUICK)

    await target.apply(step(steps, "on"))
    assert list(subsets(server.objects[KEY])) == ["b", "reads", "writes"]
    assert await target.in_force(step(steps, "on"))
    assert not await target.in_force(step(steps, "off"))

    await target.apply(step(steps, "off"))
    assert unmanaged(server.objects[KEY]) == unmanaged(before)
    assert await target.in_force(step(steps, "off"))


async def test_the_end_of_an_ab_test_leaves_others_rules_where_they_are(
    server: ApiServer, client: AsyncClient
) -> None:
    steps = ab_plan()
    document = live(copy.deepcopy(dict(step(steps, "on").document)))
    guest = rule("maintenance", to("stable", 100), match=[{"uri": {"exact": "/soon"}}])
    document["spec"]["http"].insert(1, guest)
    server.put(COLLECTION, document)

    await ClusterTarget(client, steps, QUICK).apply(step(steps, "off"))

    http = server.objects[KEY]["spec"]["http"]
    assert http == [guest, *step(steps, "off").document["spec"]["http"]]


@pytest.mark.parametrize(
    ("strategy", "directories"),
    [
        (Strategy.CANARY, ("canary/steps/00", "canary/steps/10", "canary/steps/100")),
        (Strategy.BLUE_GREEN, ("blue-green/steps/blue", "blue-green/steps/green")),
        (Strategy.AB, ("ab/steps/off", "ab/steps/on")),
    ],
)
async def test_our_own_manifests_are_put_in_force(
    server: ApiServer, client: AsyncClient, strategy: Strategy, directories: tuple[str, ...]
) -> None:
    documents = {each: the(render(f"istio/{each}")) for each in directories}
    steps: Plan = plan(strategy, **documents)
    server.put(COLLECTION, live(documents[directories[0]]))
    target = ClusterTarget(client, steps, QUICK)

    for name in (*directories, *reversed(directories)):
        await target.apply(step(steps, name))

        [stored] = server.objects.values()
        assert stored["spec"] == documents[name]["spec"]
