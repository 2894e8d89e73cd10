"""``run --dry-run`` and ``run --advise`` say what a run would do, and write nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.cli.cli_process import SECONDS, started
from tests.rollout.cli.cli_runner import Cluster, call
from tests.rollout.cli.example_service import TIMES, ExampleService, step, write_rollout
from tests.rollout.cluster.virtual_services import COLLECTION
from tests.support.api_objects import ReceivedRequest
from tests.support.deployments import DEPLOYMENTS, deployment
from tests.support.waiting import until


@pytest.fixture
def writes(cluster: Cluster) -> Iterator[list[ReceivedRequest]]:
    """What was written until the end of the test: nothing."""
    before = len(cluster.server.writes())
    yield (found := [])
    found += cluster.server.writes()[before:]
    assert found == []


def move(service: ExampleService, percent: int) -> None:
    """Move the weights as somebody else does."""

    def change(document: dict[str, Any]) -> None:
        document["spec"] = step(service.namespace, percent)["spec"]

    service.server.edit(COLLECTION, service.namespace, "kv", change)


@pytest.mark.usefixtures("writes")
def test_an_advisor_watches_who_moves_the_weights_and_never_writes(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    plan = write_rollout(tmp_path / "advised", service.namespace)

    with started(tmp_path, *cluster.run(plan, state, "--advise")) as run:
        run.wait_for(r"advice: would go on to step 50 \(not-worse\)")
        assert service.share == 0
        move(service, 50)
        run.wait_for(r"advice: would go on to step 100 \(good\)")
        # Somebody leaves the plan for a while.
        move(service, 7)
        run.wait_for("advice: the routes are those of no step of the plan")
        move(service, 100)

        assert run.wait() == 0, run.out + run.err
    assert "advice: would promote the release (good)" in run.out
    assert run.out.endswith("nothing was changed\n")
    assert not state.exists()


@pytest.mark.usefixtures("writes")
def test_an_advisor_says_when_it_would_go_back(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    plan = write_rollout(tmp_path / "advised", service.namespace)
    service.errors["canary"] = 0.5
    move(service, 50)

    run = call(*cluster.run(plan, state, "--advise"))

    assert run.code == 1, run.out + run.err
    assert "advice: would go back to step 0: the canary fails more of its requests" in run.out
    assert service.share == 50


@pytest.mark.usefixtures("writes")
def test_a_dry_run_says_all_that_would_be_changed_and_asked(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    for track, pods in (("stable", 4), ("canary", 0)):
        document = deployment(f"kv-{track}", service.namespace, track, "reg/kv:1", pods)
        service.server.put(DEPLOYMENTS, document)
    plan = write_rollout(
        tmp_path / "dry",
        service.namespace,
        f"{TIMES.replace('400ms', '2s')}smokeTests: [{{path: /v1/limits}}]\n"
        "workloads: {stable: Deployment/kv-stable, canary: Deployment/kv-canary}\n"
        "conditions: [{step: '50', time: 10m, requests: 500, pause: true}]\n",
    )
    until(lambda: service.has_requests, seconds=SECONDS, what="requests")

    run = call(*cluster.run(plan, state, "--dry-run", "--image", "reg/kv:2"))

    assert run.code == 0, run.out + run.err
    said = run.out.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    asked = "500 requests to the canary, a pause until resume"
    assert said[:8] == [
        "step 0 (0 % to the canary), at least 2 s",
        "  the routes are so already",
        f"step 50 (50 % to the canary), at least 10 min, {asked}",
        "  Deployment/kv-canary: kv has reg/kv:1 now, reg/kv:2 then",
        "  Deployment/kv-canary: 0 pods now, 2 then",
        "  replace /spec/http/0/route/0/weight = 50",
        "  replace /spec/http/0/route/1/weight = 50",
        "step 100 (100 % to the canary), at least 2 s",
    ]
    assert "asked: GET /v1/limits at the gateway, expecting 200" in said
    assert said[-1] == "nothing was changed"


@pytest.mark.usefixtures("writes")
def test_a_dry_run_refuses_what_a_run_refuses(
    cluster: Cluster, service: ExampleService, plan: Path, state: Path
) -> None:
    metadata = {"name": "theirs", "namespace": service.namespace}
    canary = {"kind": "Canary", "spec": {"targetRef": {"name": "kv"}}, "metadata": metadata}
    cluster.server.put("flagger.app/v1beta1/canaries", canary)

    run = call(*cluster.run(plan, state, "--dry-run"))

    assert run.code == 2
    assert f"Flagger's Canary {service.namespace}/theirs sets the weights" in run.err


@pytest.fixture
def plan(tmp_path: Path, service: ExampleService) -> Path:
    return write_rollout(tmp_path / "rollout", service.namespace)
