"""The contract of a target in a cluster, on each kind of routes."""

from __future__ import annotations

from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.route_kinds import ROUTE_KINDS
from rollout.cluster.target import ClusterTarget
from rollout.plan.model import Plan
from rollout.runner.ports import ManagedByOther, TargetFailed
from tests.rollout.cluster.route_kinds import KINDS, PERCENTAGES, Kind
from tests.rollout.cluster.virtual_services import QUICK, live, step
from tests.support.api_objects import ReceivedRequest
from tests.support.api_server import ApiServer
from tests.support.manifests import render

CANARIES: Final = "flagger.app/v1beta1/canaries"
ROLLOUTS: Final = "argoproj.io/v1alpha1/rollouts"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, server: ApiServer) -> Kind:
    found = KINDS[request.param]
    server.complete = found.complete
    server.collections.add(found.collection)
    return found


@pytest.fixture
def plan(kind: Kind) -> Plan:
    return kind.plan()


@pytest.fixture
def target(client: AsyncClient, plan: Plan) -> ClusterTarget:
    return ClusterTarget(client, plan, QUICK)


def put(server: ApiServer, kind: Kind, percent: int) -> dict[str, Any]:
    found = server.put(kind.collection, kind.live(percent))
    server.complete = None
    return found


def test_each_kind_has_a_case() -> None:
    assert {each.build(1, 0)["kind"] for each in KINDS.values()} == set(ROUTE_KINDS)


async def test_all_rules_take_each_share_and_nothing_else_changes(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    before = put(server, kind, 0)

    for percent in (*PERCENTAGES, 0):
        await target.apply(step(plan, f"w{percent}"))

        after = server.objects[kind.key]
        assert kind.weights(after) == [[100 - percent, percent]] * 2
        assert kind.unmanaged(after) == kind.unmanaged(before)
        assert [each.name for each in plan.steps if await target.in_force(each)] == [f"w{percent}"]
    # One write for each step: all rules at once, and none for a share that is in force.
    assert len(server.writes()) == len(PERCENTAGES)


async def test_our_own_http_route_is_put_in_force(server: ApiServer, client: AsyncClient) -> None:
    kind = KINDS["HTTPRoute at a Gateway"]
    server.complete = kind.complete
    names = ("00", "10", "100")
    [*documents] = [one for name in names for one in render(f"istio/gateway-api/steps/{name}")]
    plan = kind.plan_of(dict(zip(names, documents, strict=True)))
    before = server.put(kind.collection, live(documents[0]))
    target = ClusterTarget(client, plan, QUICK)

    for name in ("10", "100", "00"):
        await target.apply(step(plan, name))

        [after] = server.objects.values()
        assert kind.weights(after) == [[100 - int(name), int(name)]]
        assert kind.unmanaged(after) == kind.unmanaged(before)


async def test_an_edit_between_read_and_write_is_kept(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    put(server, kind, 0)

    def label(_: ApiServer, __: ReceivedRequest) -> None:
        if len(server.writes()) < 3:
            version = server.next_version()
            server.edit(*kind.key, lambda it: it["metadata"]["labels"].update(edited=version))

    server.before_patch = label
    await target.apply(step(plan, "w10"))

    after = server.objects[kind.key]
    assert len(server.writes()) == 3
    assert after["metadata"]["labels"]["edited"]
    assert kind.weights(after) == [[90, 10]] * 2


async def test_drift_is_refused_by_its_path_but_not_on_the_way_back(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    put(server, kind, 50)
    server.edit(*kind.key, lambda it: kind.rules_of(it)[1].update(timeouts={"request": "1s"}))

    with pytest.raises(TargetFailed, match=rf"spec\.{kind.rules}\[1\]\.timeouts: the cluster"):
        await target.apply(step(plan, "w100"))
    assert not await target.in_force(step(plan, "w50"))
    assert server.writes() == []

    await target.apply(step(plan, "w0"))

    assert kind.weights(server.objects[kind.key]) == [[100, 0]] * 2
    assert kind.rules_of(server.objects[kind.key])[1]["timeouts"] == {"request": "1s"}


@pytest.mark.parametrize("percent", [0, 100])
async def test_a_foreign_destination_in_one_rule_keeps_all_rules_as_they_are(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget, percent: int
) -> None:
    put(server, kind, 50)

    def add(document: dict[str, Any]) -> None:
        entries = kind.rules_of(document)[1][kind.destinations]
        key = next(key for key in ("destination", "name") if key in entries[0])
        other = {"host": "debug"} if key == "destination" else "debug"
        entries.append({**entries[0], key: other})

    server.edit(*kind.key, add)

    path = rf"spec\.{kind.rules}\[1\]\.{kind.destinations}\[2\]: no step"
    with pytest.raises(ManagedByOther, match=path):
        await target.apply(step(plan, f"w{percent}"))
    assert server.writes() == []


async def test_a_foreign_rule_is_refused_but_not_on_the_way_back(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    """It comes first, so that the plan's rules are found elsewhere than in the plan."""
    put(server, kind, 50)
    guest = {"name": "guest", kind.destinations: [kind.build(1, 0)["spec"]]}
    server.edit(*kind.key, lambda it: kind.rules_of(it).insert(0, guest))

    with pytest.raises(ManagedByOther, match=rf"spec\.{kind.rules}\[0\]: no step"):
        await target.apply(step(plan, "w100"))
    await target.apply(step(plan, "w0"))

    rules = kind.rules_of(server.objects[kind.key])
    assert rules[0] == guest
    assert [[each["weight"] for each in rule[kind.destinations]] for rule in rules[1:]] == [
        [100, 0]
    ] * 2


async def test_a_rejected_change_changes_no_rule(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    put(server, kind, 10)
    server.validate = lambda _: "frozen until Monday"

    with pytest.raises(TargetFailed, match="frozen until Monday"):
        await target.apply(step(plan, "w50"))

    assert kind.weights(server.objects[kind.key]) == [[90, 10]] * 2


async def test_a_deletion_is_noticed(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    put(server, kind, 10)
    await target.apply(step(plan, "w50"))
    server.objects.clear()

    said = f"there is no {plan.steps[0].routes.kind} shop/kv"
    with pytest.raises(TargetFailed, match=said):
        await target.in_force(step(plan, "w50"))
    with pytest.raises(TargetFailed, match=said):
        await target.apply(step(plan, "w0"))


async def test_the_permission_that_is_missing_is_named(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    group, _, plural = kind.collection.split("/")
    server.forbidden = {("get", plural)}

    with pytest.raises(TargetFailed, match=rf"can-i get {plural}\.{group} --namespace shop"):
        await target.check()


@pytest.mark.parametrize("collection", [CANARIES, ROLLOUTS])
async def test_the_routes_of_another_controller_are_not_changed(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget, collection: str
) -> None:
    put(server, kind, 10)
    plural = kind.collection.rpartition("/")[2]
    routing = {
        "virtualservices": {"istio": {"virtualService": {"name": "kv"}}},
        "httproutes": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "kv"}}},
        "grpcroutes": {"plugins": {"argoproj-labs/gatewayAPI": {"grpcRoutes": [{"name": "kv"}]}}},
    }[plural]
    spec = {"targetRef": {"name": "kv"}, "strategy": {"canary": {"trafficRouting": routing}}}
    server.put(collection, {"metadata": {"name": "theirs", "namespace": "shop"}, "spec": spec})

    said = f"shop/theirs sets the weights of {plan.steps[0].routes.kind} shop/kv"
    with pytest.raises(ManagedByOther, match=said):
        await target.apply(step(plan, "w50"))
    assert server.writes() == []


async def test_a_step_is_in_force_once_the_control_plane_has_seen_it(
    server: ApiServer, kind: Kind, plan: Plan, target: ClusterTarget
) -> None:
    """A parent's condition of a controller that is gone does not count beside a newer one."""
    put(server, kind, 0)
    parents = plan.steps[0].document["spec"].get("parentRefs", [{}])

    def observe(document: dict[str, Any]) -> None:
        seen = document["metadata"]["generation"]
        document["status"] = {
            "observedGeneration": seen,
            "parents": [
                {
                    "parentRef": parents[0],
                    "conditions": [{"type": "Accepted", "observedGeneration": generation}],
                }
                for generation in (0, seen)
            ],
        }

    server.edit(*kind.key, observe)

    with pytest.raises(TargetFailed, match="istiod has not seen it"):
        await target.apply(step(plan, "w10"))
    server.edit(*kind.key, observe)
    await target.apply(step(plan, "w10"))

    assert kind.weights(server.objects[kind.key]) == [[90, 10]] * 2
