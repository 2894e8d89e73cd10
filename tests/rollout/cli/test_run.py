"""``run`` against a cluster's API and a real Prometheus: every way it ends, and goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.rollout.cli.processes import finished, started
from tests.rollout.cli.running import Cluster, called
from tests.rollout.cli.shops import TIMES, Shop, write_rollout
from tests.rollout.cluster.virtual_services import unmanaged
from tests.support.waiting import until

CANARY: Final = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "spec": {"targetRef": {"kind": "Deployment", "name": "kv"}},
}
ROLLOUT: Final = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "spec": {
        "strategy": {"canary": {"trafficRouting": {"istio": {"virtualService": {"name": "kv"}}}}}
    },
}


@pytest.fixture
def plan(tmp_path: Path, shop: Shop) -> Path:
    return write_rollout(tmp_path / "rollout", shop.namespace)


def events(state: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (state / "events.jsonl").read_text().splitlines()]


def test_a_good_canary_is_promoted_and_nothing_but_weights_changed(
    cluster: Cluster, shop: Shop, plan: Path, tmp_path: Path, state: Path
) -> None:
    before = unmanaged(shop.document)

    run = finished(tmp_path, *cluster.run(plan, state))

    assert run.process.returncode == 0, run.err
    assert shop.history == [0, 50, 100]
    assert unmanaged(shop.document) == before
    assert run.out.rstrip().splitlines()[-1].split("  ")[1:3] == [
        "promoted",
        "100 (100 % to the canary)",
    ]
    # What has ended says so again, and touches nothing.
    again = called(*cluster.run(plan, state))
    assert again.code == 0
    assert "promoted" in again.out
    assert shop.history == [0, 50, 100]


def test_a_canary_that_turns_bad_is_rolled_back_and_may_be_tried_again(
    cluster: Cluster, shop: Shop, plan: Path, tmp_path: Path, state: Path
) -> None:
    before = unmanaged(shop.document)
    with started(tmp_path, *cluster.run(plan, state)) as run:
        until(lambda: shop.share == 50, seconds=30, what="the step")
        shop.errors["canary"] = 0.05
        until(lambda: shop.share == 0, seconds=30, what="the way back")
        # Killed there it may not know that it has arrived: the next one says how it ended.
        run.signal(signal.SIGKILL)
        run.wait()

    assert called(*cluster.run(plan, state)).code == 1
    assert shop.history == [0, 50, 0]
    assert unmanaged(shop.document) == before
    last = events(state)[-1]
    assert (last["kind"], last["reason"]) == ("rolled_back", "harm: errors")
    assert last["detail"] == "the canary fails more of its requests than the stable release does"
    shop.errors.clear()

    again = called(*cluster.run(plan, state, "--again"))

    assert again.code == 0, again.err
    assert shop.history == [0, 50, 0, 50, 100]


def test_too_few_customers_are_no_proof(
    cluster: Cluster, shop: Shop, tmp_path: Path, state: Path
) -> None:
    shop.rate = 20
    plan = write_rollout(tmp_path / "few", shop.namespace, TIMES.replace("5m", "2s"))

    run = called(*cluster.run(plan, state))

    assert run.code == 3, run.err
    assert shop.share == 0
    last = events(state)[-1]
    assert last["kind"] == "inconclusive"
    assert last["detail"].startswith("the plan's time was up while it waited: ")


def test_a_canary_that_nobody_reaches_is_spoken_of(
    cluster: Cluster, shop: Shop, tmp_path: Path, state: Path
) -> None:
    """Its requests have no release in Istio's counters: that looks like no data at all."""
    shop.unreachable = frozenset({"canary"})
    plan = write_rollout(tmp_path / "lost", shop.namespace, TIMES.replace("5m", "3s"))

    assert called(*cluster.run(plan, state)).code == 3

    held = [each for each in events(state) if each["kind"] == "held"]
    assert any("reach neither release" in each["detail"] for each in held), held
    # Said once, not at every look.
    assert len(held) < 8


def test_a_run_that_is_killed_at_each_step_is_gone_on_with(
    cluster: Cluster, shop: Shop, plan: Path, tmp_path: Path, state: Path
) -> None:
    for share in (50, 100):
        with started(tmp_path, *cluster.run(plan, state)) as run:
            # It may not know yet that it is in force.
            until(lambda: shop.share == share, seconds=30, what=f"{share} %")  # noqa: B023
            run.signal(signal.SIGKILL)
            run.wait()
        assert shop.share == share

    last = called(*cluster.run(plan, state))

    assert last.code == 0, last.err
    assert "resumed" in last.out
    assert shop.history == [0, 50, 100]


def test_sigterm_leaves_the_routes_and_frees_the_state_in_the_cluster(
    cluster: Cluster, shop: Shop, plan: Path, tmp_path: Path
) -> None:
    with started(tmp_path, *cluster.run(plan, "configmap")) as run:
        until(lambda: shop.share == 50, seconds=30, what="the step")
        run.signal(signal.SIGTERM)

        assert run.wait() == 143
        assert "the routes stay" in run.err
    assert shop.share in {50, 100}

    again = called(*cluster.run(plan, "configmap"))

    assert again.code == 0, again.err
    assert "resumed" in again.out
    status = called("status", *cluster.of(plan, "configmap"), "--format", "json")
    assert json.loads(status.out)["verdict"] == "promoted"


@pytest.mark.parametrize(
    ("collection", "claim", "named"),
    [
        ("flagger.app/v1beta1/canaries", CANARY, "Flagger's Canary"),
        ("argoproj.io/v1alpha1/rollouts", ROLLOUT, "Argo's Rollout"),
    ],
)
def test_weights_that_another_holds_are_left_to_it(
    cluster: Cluster,
    shop: Shop,
    plan: Path,
    state: Path,
    collection: str,
    claim: dict[str, Any],
    named: str,
) -> None:
    metadata = {"name": "theirs", "namespace": shop.namespace}
    cluster.server.put(collection, {**claim, "metadata": metadata})

    said = called(*cluster.run(plan, state))

    assert said.code == 2
    assert f"{named} {shop.namespace}/theirs sets the weights" in said.err
    assert shop.history == [0]


def test_who_takes_the_weights_away_meanwhile_is_named_with_what_the_canary_gets(
    cluster: Cluster, shop: Shop, plan: Path, tmp_path: Path, state: Path
) -> None:
    """Also on the way back, and each time it is tried."""

    def take(document: dict[str, Any]) -> None:
        reference = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "theirs"}
        document["metadata"]["ownerReferences"] = [reference]

    with started(tmp_path, *cluster.run(plan, state)) as run:
        until(lambda: shop.share == 50, seconds=30, what="the step")
        collection = "networking.istio.io/v1/virtualservices"
        cluster.server.edit(collection, shop.namespace, "kv", take)
        shop.errors["canary"] = 0.5
        assert run.wait() == 2
    again = called(*cluster.run(plan, state))

    assert again.code == 2
    for said in (run.err, again.err):
        assert "Flagger's Canary theirs owns VirtualService" in said
        assert said.rstrip().endswith("the canary still gets 50 % of the requests")
    assert events(state)[-1]["reason"] == "not-ours"


def test_orders_come_from_other_processes_and_a_second_runner_is_refused(
    cluster: Cluster, shop: Shop, tmp_path: Path, state: Path
) -> None:
    plan = write_rollout(tmp_path / "slow", shop.namespace, TIMES.replace("400ms", "2s"))

    def order(name: str) -> None:
        said = called(name, *cluster.of(plan, state))
        assert said.code == 0, said.err

    with started(tmp_path, *cluster.run(plan, state)) as run:
        until(lambda: shop.share == 50, seconds=30, what="the step")
        order("pause")
        run.wait_for(r"held  50 .*  paused: ")
        status = called("status", *cluster.of(plan, state))
        assert "slow: paused\n" in status.out
        second = called(*cluster.run(plan, state))
        assert second.code == 2
        assert f"process {run.process.pid} on " in second.err

        resume = finished(tmp_path, "resume", *cluster.of(plan, state))
        assert resume.process.returncode == 0, resume.err
        run.wait_for("step  100")
        # The last step lasts for another 2 s.
        order("abort")

        assert run.wait() == 1

    assert shop.history == [0, 50, 100, 0]
    told = events(state)
    orders = [each["reason"] for each in told if each["kind"] == "order"]
    assert orders == ["pause", "resume", "abort"]
    assert (told[-1]["reason"], told[-1]["detail"]) == ("aborted", "somebody ordered it")


def test_checks_need_an_address(cluster: Cluster, shop: Shop, tmp_path: Path, state: Path) -> None:
    text = f"{TIMES.replace('5m', '1500ms')}checks: [{{path: /v1/limits}}]\n"
    plan = write_rollout(tmp_path / "checked", shop.namespace, text)

    run = called(*cluster.run(plan, state))

    assert run.code == 3
    assert "GET /v1/limits was not asked: give the gateway's address with --url" in run.out
    assert shop.history == [0]
