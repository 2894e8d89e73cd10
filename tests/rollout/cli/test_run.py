"""``run`` with a fake Kubernetes API and a real Prometheus: every verdict, kill and command."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import urllib.request
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.rollout.cli.cli_process import SECONDS, finished, started
from tests.rollout.cli.cli_runner import Cluster, call, call_and_abort, events, has_held
from tests.rollout.cli.example_service import (
    TIMES,
    ExampleService,
    step,
    write_rollout,
)
from tests.rollout.cluster.virtual_services import COLLECTION, unmanaged
from tests.support.field_managers import ApplyConflict, applied
from tests.support.manifests import ROOT
from tests.support.ports import free_port
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
def plan(tmp_path: Path, service: ExampleService) -> Path:
    return write_rollout(tmp_path / "rollout", service.namespace)


def test_a_good_canary_is_promoted_and_nothing_but_weights_changed(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path, state: Path
) -> None:
    before = unmanaged(service.document)

    run = finished(tmp_path, *cluster.run(plan, state), fresh=True)

    assert run.process.returncode == 0, run.err
    assert service.history == [0, 50, 100]
    assert unmanaged(service.document) == before
    assert run.out.rstrip().splitlines()[-1].split("  ")[1:3] == [
        "promoted",
        "100 (100 % to the canary)",
    ]
    # After the end it prints the verdict again and changes nothing.
    again = call(*cluster.run(plan, state))
    assert again.code == 0
    assert "promoted" in again.out
    assert service.history == [0, 50, 100]


def test_metrics_are_served_while_it_runs(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path, state: Path
) -> None:
    port = free_port()

    def read_metrics() -> str:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response,
        ):
            return str(response.read().decode())
        return ""

    cluster.server.freeze_when(lambda: service.share == 50)
    with started(tmp_path, *cluster.run(plan, state, "--metrics-port", str(port))) as run:
        with cluster.server.frozen():
            label = f'namespace="{service.namespace}"'
            until(lambda: label in read_metrics(), seconds=SECONDS, what="the metrics")
        assert run.process.wait(SECONDS) == 0, run.err


def test_a_canary_that_turns_bad_is_rolled_back_and_may_be_tried_again(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path, state: Path
) -> None:
    before = unmanaged(service.document)
    cluster.server.freeze_when(lambda: service.share == 50)
    with started(tmp_path, *cluster.run(plan, state)) as run:
        with cluster.server.frozen():
            service.errors["canary"] = 0.05
        until(lambda: service.share == 0, seconds=SECONDS, what="the way back")
        # It may be killed before it has saved that the step is in force; the next one continues.
        run.signal(signal.SIGKILL)
        run.wait()

    assert call(*cluster.run(plan, state)).code == 1
    assert service.history == [0, 50, 0]
    assert unmanaged(service.document) == before
    last = events(state)[-1]
    assert (last["kind"], last["reason"]) == ("rolled_back", "harm: errors")
    assert last["detail"] == "the canary fails more of its requests than the stable release does"
    service.errors.clear()

    again = call(*cluster.run(plan, state, "--again"))

    assert again.code == 0, again.err
    assert service.history == [0, 50, 0, 50, 100]


def test_too_few_requests_are_no_proof(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    service.rate = 5
    plan = write_rollout(tmp_path / "few", service.namespace, TIMES.replace("5m", "5s"))

    run = call(*cluster.run(plan, state))

    assert run.code == 3, run.err
    assert service.share == 0
    last = events(state)[-1]
    assert last["kind"] == "inconclusive"
    assert last["detail"].startswith("the plan's deadline passed while the rollout waited: ")


def test_a_canary_that_no_request_reaches_is_reported(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    """Istio counts its requests for no release, so there is no data about the canary."""
    service.unreachable = frozenset({"canary"})
    plan = write_rollout(tmp_path / "lost", service.namespace)
    why = "reach neither release"

    run = call_and_abort(
        state, lambda: has_held(state, why, seconds=0.5), *cluster.run(plan, state)
    )

    assert run.code == 1, run.err
    # Recorded once, not at every poll.
    assert len([each for each in events(state) if why in each.get("detail", "")]) == 1


def test_a_run_that_is_killed_at_each_step_is_continued(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path, state: Path
) -> None:
    for share in (50, 100):
        # It has not saved yet that the step is in force.
        cluster.server.freeze_when(lambda: service.share == share)  # noqa: B023
        with started(tmp_path, *cluster.run(plan, state)) as run, cluster.server.frozen():
            run.signal(signal.SIGKILL)
            run.wait()
        assert service.share == share

    last = call(*cluster.run(plan, state))

    assert last.code == 0, last.err
    assert "resumed" in last.out
    assert service.history == [0, 50, 100]


def test_sigterm_leaves_the_routes_and_frees_the_state_in_the_cluster(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path
) -> None:
    cluster.server.freeze_when(lambda: service.share == 50)
    with started(tmp_path, *cluster.run(plan, "configmap")) as run:
        with cluster.server.frozen():
            run.signal(signal.SIGTERM)

        assert run.wait() == 143
        # If it was told in the middle of the change, it can't know whether that was made.
        assert re.search(r"gets? 50 %|what step 50 gives it", run.err), run.err
        assert "and nobody watches it now; run the same command again" in run.err
        assert f"tallykv-rollout abort {service.namespace}/kv" in run.err
    assert service.share == 50

    again = call(*cluster.run(plan, "configmap"))

    assert again.code == 0, again.err
    assert "resumed" in again.out
    status = call("status", *cluster.of(plan, "configmap"), "--format", "json")
    assert json.loads(status.out)["verdict"] == "promoted"


@pytest.mark.parametrize(
    ("collection", "claim", "named"),
    [
        ("flagger.app/v1beta1/canaries", CANARY, "Flagger's Canary"),
        ("argoproj.io/v1alpha1/rollouts", ROLLOUT, "Argo's Rollout"),
    ],
)
def test_weights_that_another_controller_manages_are_left_alone(
    cluster: Cluster,
    service: ExampleService,
    plan: Path,
    state: Path,
    collection: str,
    claim: dict[str, Any],
    named: str,
) -> None:
    metadata = {"name": "theirs", "namespace": service.namespace}
    cluster.server.put(collection, {**claim, "metadata": metadata})

    said = call(*cluster.run(plan, state))

    assert said.code == 2
    assert f"{named} {service.namespace}/theirs sets the weights" in said.err
    assert service.history == [0]


def test_a_controller_that_takes_over_is_named_with_what_the_canary_still_gets(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path, state: Path
) -> None:
    """Also during a rollback, and at each attempt."""

    def take(document: dict[str, Any]) -> None:
        reference = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "theirs"}
        document["metadata"]["ownerReferences"] = [reference]

    cluster.server.freeze_when(lambda: service.share == 50)
    with started(tmp_path, *cluster.run(plan, state)) as run:
        with cluster.server.frozen():
            cluster.server.edit(COLLECTION, service.namespace, "kv", take)
            service.errors["canary"] = 0.5
        assert run.wait() == 2
    again = call(*cluster.run(plan, state))

    assert again.code == 2
    for said in (run.err, again.err):
        assert "Flagger's Canary theirs owns VirtualService" in said
        assert "the canary still gets 50 % of the requests" in said
    assert "nobody watches it now; run the same command again" in run.err
    assert events(state)[-1]["reason"] == "not-ours"


def test_commands_come_from_other_processes_and_a_second_runner_is_refused(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path, state: Path
) -> None:
    def send(name: str) -> None:
        said = call(name, *cluster.of(plan, state))
        assert said.code == 0, said.err

    server = cluster.server
    server.freeze_when(lambda: service.share == 50)
    with started(tmp_path, *cluster.run(plan, state)) as run:
        with server.frozen():
            send("pause")
        run.wait_for(r"held  50 .*  paused: ")
        status = call("status", *cluster.of(plan, state))
        assert "rollout: paused\n" in status.out
        second = call(*cluster.run(plan, state))
        assert second.code == 2
        assert f"process {run.process.pid} on " in second.err

        server.freeze_when(lambda: service.share == 100)
        resume = finished(tmp_path, "resume", *cluster.of(plan, state))
        assert resume.process.returncode == 0, resume.err
        with server.frozen():
            send("abort")

        assert run.wait() == 1

    assert service.history == [0, 50, 100, 0]
    told = events(state)
    orders = [each["reason"] for each in told if each["kind"] == "order"]
    assert orders == ["pause", "resume", "abort"]
    assert (told[-1]["reason"], told[-1]["detail"]) == ("aborted", "a person aborted the rollout")


def test_smoke_tests_need_an_address(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    text = f"{TIMES}smokeTests: [{{path: /v1/limits}}]\n"
    plan = write_rollout(tmp_path / "smoke", service.namespace, text)
    why = "GET /v1/limits was not sent: give the gateway's address with --url"

    run = call_and_abort(state, lambda: has_held(state, why), *cluster.run(plan, state))

    assert run.code == 1
    assert why in run.out
    assert service.history == [0]


def test_with_the_shipped_rights_it_runs_and_leaves_routes_that_anybody_may_apply(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path
) -> None:
    """The state is in the cluster by default. While it runs, it owns the routes."""
    component = ROOT / "kustomize" / "components" / "rollout-runner"
    for document in yaml.safe_load_all((component / "state.yaml").read_text()):
        collection = f"{document['apiVersion']}/{document['kind'].lower()}s"
        collection = collection if "." in collection else f"/{collection}"
        metadata = {**document["metadata"], "namespace": service.namespace}
        cluster.server.put(collection, {**document, "metadata": metadata})
    rules = yaml.safe_load((component / "role.yaml").read_text())["rules"]
    arguments = [each for each in cluster.run(plan, "") if each not in {"--state", ""}]
    manifest = step(service.namespace, 0)
    cluster.server.put(COLLECTION, applied(service.document, manifest, "kubectl", force=True))
    cluster.server.rules = rules

    refused = r'"tallykv-rollout" using .*\.spec\.http'
    cluster.server.freeze_when(lambda: service.share == 50)
    try:
        with started(tmp_path, *arguments) as run:
            with cluster.server.frozen(), pytest.raises(ApplyConflict, match=refused):
                applied(service.document, manifest, "kubectl", force=False)
            assert run.wait() == 0, run.err
    finally:
        cluster.server.rules = None

    assert service.history == [0, 50, 100]
    assert applied(service.document, manifest, "kubectl", force=False)
    said = call("status", f"{service.namespace}/kv", "--kubeconfig", cluster.kubeconfig)
    assert said.out.splitlines()[0].startswith("rollout: promoted")
    assert "  live routes: 100 % to the canary" in said.out
