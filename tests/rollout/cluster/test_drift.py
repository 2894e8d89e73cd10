"""A difference from the plan is refused, its path is named, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.target import ClusterTarget
from rollout.cluster.virtual_service_routes import VirtualServiceRoutes
from rollout.cluster.weights_patch import PatchBuilder
from rollout.plan.model import Plan, Strategy
from rollout.runner.ports import ManagedByOther, RoutesEdited, TargetFailed
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
    to,
    virtual_service,
    weights,
)
from tests.support.api_server import ApiServer

KEY: Final = (COLLECTION, "shop", "kv")
Edit = Callable[[dict[str, Any]], Any]


def http(place: int, field: str, value: Any) -> Edit:
    return lambda spec: spec["http"][place].__setitem__(field, value)


def add(place: int, name: str | None) -> Edit:
    return lambda spec: spec["http"].insert(place, rule(name, to("stable", 100)))


#: An edit of the routes, the error that it causes, and what the message must contain.
DIFFERENCES: Final[dict[str, tuple[Edit, type[TargetFailed], str]]] = {
    "a timeout": (http(1, "timeout", "16s"), TargetFailed, "spec.http[1].timeout"),
    "a retry": (http(0, "retries", {"attempts": 5}), TargetFailed, "spec.http[0].retries.attempts"),
    "a fault": (http(0, "fault", {"abort": {}}), TargetFailed, "spec.http[0].fault"),
    "a mirror gone": (
        lambda spec: spec["http"][0].pop("match"),
        TargetFailed,
        "spec.http[0].match",
    ),
    "a match": (
        lambda spec: spec["http"][0]["match"][0]["uri"].update(regex="/v2.+"),
        TargetFailed,
        "spec.http[0].match[0].uri.regex",
    ),
    "a host": (lambda spec: spec["hosts"].append("new"), TargetFailed, "spec.hosts"),
    "a gateway": (
        lambda spec: spec["gateways"].__setitem__(0, "other"),
        TargetFailed,
        "spec.gateways[0]",
    ),
    "a tcp route": (lambda spec: spec.update(tcp=[]), TargetFailed, "spec.tcp"),
    "a rule": (
        add(0, "maintenance"),
        RoutesEdited,
        'spec.http[0]: no step of the plan has the rule "main',
    ),
    "a rule without a name": (add(2, None), RoutesEdited, "spec.http[2]"),
    "a rule twice": (add(2, "reads"), TargetFailed, "spec.http[2]: a second rule"),
    "the order": (lambda spec: spec["http"].reverse(), TargetFailed, "writes, reads where"),
    "a rule gone": (lambda spec: spec["http"].pop(0), TargetFailed, "the rules are writes where"),
    "a destination": (
        lambda spec: spec["http"][0]["route"].append(to("debug", 1)),
        RoutesEdited,
        "spec.http[0].route[2]",
    ),
    "a destination's headers": (
        lambda spec: spec["http"][1]["route"][0].update(headers={}),
        RoutesEdited,
        "spec.http[1].route[0]",
    ),
    "a port": (
        lambda spec: spec["http"][1]["route"][0]["destination"].pop("port"),
        RoutesEdited,
        "spec.http[1].route[0]",
    ),
}
#: The rollback step can still be applied after these edits.
ROLLBACK_APPLIES: Final = {
    "a timeout", "a retry", "a fault", "a mirror gone", "a match", "a host", "a gateway",
    "a tcp route", "a rule", "a rule without a name", "the order",
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENCES)
async def test_a_difference_is_refused_by_its_path(
    server: ApiServer, client: AsyncClient, what: str
) -> None:
    edit, error, path = DIFFERENCES[what]
    document = live(share(0))
    edit(document["spec"])
    server.put(COLLECTION, document)
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    with pytest.raises(TargetFailed) as caught:
        await target.apply(step(steps, "w10"))

    assert type(caught.value) is error
    assert path in str(caught.value)
    assert server.writes() == []
    assert not await target.in_force(step(steps, "w10"))


@pytest.mark.parametrize("what", DIFFERENCES)
async def test_a_rollback_is_refused_only_for_differences_in_what_it_writes(
    server: ApiServer, client: AsyncClient, what: str
) -> None:
    edit, _, _ = DIFFERENCES[what]
    document = live(share(50))
    edit(document["spec"])
    server.put(COLLECTION, document)
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)
    names = [each.get("name") for each in document["spec"]["http"]]

    if what not in ROLLBACK_APPLIES:
        with pytest.raises(TargetFailed):
            await target.apply(step(steps, "w0"))
        assert server.writes() == []
        return
    await target.apply(step(steps, "w0"))

    after = server.objects[KEY]
    ours = [
        shares
        for name, shares in zip(names, weights(after), strict=True)
        if name in {"reads", "writes"}
    ]
    assert ours == [[100, 0]] * 2
    assert [each.get("name") for each in after["spec"]["http"]] == names
    assert await target.in_force(step(steps, "w0"))


async def test_only_ab_may_add_and_remove_rules(server: ApiServer, client: AsyncClient) -> None:
    on = step(ab_plan(), "on").document
    steps = plan(Strategy.CANARY, off=all_to("stable"), on=dict(on))
    server.put(COLLECTION, live(all_to("stable")))

    with pytest.raises(TargetFailed, match="the rules are reads, writes where the step has b,"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "on"))

    assert server.writes() == []


async def test_ab_replaces_no_rule_that_somebody_changed(
    server: ApiServer, client: AsyncClient
) -> None:
    document = live(all_to("stable"))
    document["spec"]["http"][1]["timeout"] = "99s"
    server.put(COLLECTION, document)
    steps = ab_plan()

    with pytest.raises(TargetFailed, match=r"spec\.http\[1\]\.timeout"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "on"))

    assert server.writes() == []


async def test_blue_green_replaces_no_destination_that_is_not_in_the_plan(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(all_to("red")))
    steps = blue_green_plan()

    for name in ("green", "blue"):
        with pytest.raises(ManagedByOther, match=r"spec\.http\[0\]\.route\[0\]"):
            await ClusterTarget(client, steps, QUICK).apply(step(steps, name))

    assert server.writes() == []


def test_a_plan_of_rules_without_names_is_refused() -> None:
    both = to("stable", 90), to("canary", 10)
    nameless: Plan = plan(
        Strategy.CANARY, one=virtual_service(reads(*both), rule(None, *both, timeout="1s"))
    )

    with pytest.raises(TargetFailed, match=r"spec\.http\[1\]: a rule without a name"):
        PatchBuilder(nameless, VirtualServiceRoutes())
