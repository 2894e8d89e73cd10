"""``run --image``: the pods of both releases follow the requests, through every kill."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.rollout.cli.cli_process import killed_when
from tests.rollout.cli.cli_runner import Cluster, call
from tests.rollout.cli.example_service import TIMES, ExampleService, write_rollout
from tests.support.api_objects import ReceivedRequest
from tests.support.api_server import ApiServer
from tests.support.deployments import DEPLOYMENTS, DeploymentController, deployment
from tests.support.manifests import ROOT

WORKLOADS: Final = (
    TIMES + "workloads: {stable: Deployment/kv-stable, canary: Deployment/kv-canary}\n"
)
STABLE_PODS: Final = 4
NEW: Final = "reg/kv:2"


COMPONENTS: Final = ROOT / "kustomize" / "components"


@pytest.fixture(scope="module", autouse=True)
def _pods(cluster: Cluster) -> Iterator[None]:
    """Reconcile Deployments, and grant the rights of the shipped Roles only."""
    roles = [COMPONENTS / f"rollout-{each}" / "role.yaml" for each in ("runner", "workloads")]
    cluster.server.rules = [
        rule for role in roles for rule in yaml.safe_load(role.read_text())["rules"]
    ]
    with DeploymentController(cluster.server).running():
        yield


@pytest.fixture
def plan(tmp_path: Path, service: ExampleService) -> Path:
    [_, lease] = yaml.safe_load_all((COMPONENTS / "rollout-runner" / "state.yaml").read_text())
    lease["metadata"]["namespace"] = service.namespace
    service.server.put("coordination.k8s.io/v1/leases", lease)
    for track, pods in (("stable", STABLE_PODS), ("canary", 0)):
        document = deployment(f"kv-{track}", service.namespace, track, "reg/kv:1", pods)
        service.server.put(DEPLOYMENTS, document)
    return write_rollout(tmp_path / "release", service.namespace, WORKLOADS)


def give_up_soon(service: ExampleService, track: str) -> None:
    service.server.edit(
        DEPLOYMENTS,
        service.namespace,
        f"kv-{track}",
        lambda it: it["spec"].update(progressDeadlineSeconds=1),
    )


def live(service: ExampleService, track: str) -> dict[str, Any]:
    return service.server.objects[DEPLOYMENTS, service.namespace, f"kv-{track}"]


def image(service: ExampleService, track: str) -> str:
    return str(live(service, track)["spec"]["template"]["spec"]["containers"][0]["image"])


def is_ready(service: ExampleService, track: str, pods: int) -> bool:
    found = live(service, track)
    status = found["status"]
    ready = min(status["updatedReplicas"], status["availableReplicas"])
    seen = status["observedGeneration"] == found["metadata"]["generation"]
    return bool(seen and ready >= pods)


@pytest.fixture
def unready(cluster: Cluster, service: ExampleService) -> Iterator[list[int]]:
    """The canary's shares that were put in force before there were pods for them."""
    found: list[int] = []

    def look(_: ApiServer, request: ReceivedRequest) -> None:
        share = service.share
        canary = is_ready(service, "canary", math.ceil(STABLE_PODS * share / 100))
        stable = share == 100 or is_ready(service, "stable", STABLE_PODS)
        if request.plural == "virtualservices" and not (canary and stable):
            found.append(share)

    cluster.server.after_patch = look
    try:
        yield found
    finally:
        cluster.server.after_patch = None


def last_event(state: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((state / "events.jsonl").read_text().splitlines()[-1])
    return event


def test_a_release_goes_through_a_kill_in_each_state_of_its_pods(
    cluster: Cluster,
    service: ExampleService,
    plan: Path,
    tmp_path: Path,
    state: Path,
    unready: list[int],
) -> None:
    states: list[Callable[[], bool]] = [
        lambda: live(service, "canary")["spec"]["replicas"] == 2,
        lambda: image(service, "stable") == NEW,
        lambda: service.history[-2:] == [100, 50],
        lambda: service.history[-2:] == [50, 0],
    ]
    arguments = cluster.run(plan, state)
    first = [*arguments, "--image", NEW]  # the next ones read the image from the state
    server = cluster.server
    code = killed_when(tmp_path, server, lambda: image(service, "canary") == NEW, *first)
    assert code == -signal.SIGKILL
    for reached in states:
        assert killed_when(tmp_path, server, reached, *arguments) == -signal.SIGKILL

    last = call(*arguments)

    assert last.code == 0, last.out + last.err
    assert service.history == [0, 50, 100, 50, 0]
    assert unready == []
    assert image(service, "stable") == image(service, "canary") == NEW
    assert live(service, "stable")["spec"]["template"]["metadata"]["labels"]["track"] == "stable"
    assert live(service, "canary")["spec"]["replicas"] == 0
    assert last_event(state)["kind"] == "promoted"


def test_a_bad_release_goes_back_weights_first_and_then_pods(
    cluster: Cluster, service: ExampleService, plan: Path, tmp_path: Path, state: Path
) -> None:
    service.errors["canary"] = 0.5
    writes = len(cluster.server.writes())

    assert call(*cluster.run(plan, state, "--image", NEW)).code == 1

    assert service.history == [0, 50, 0]
    assert image(service, "stable") == "reg/kv:1"
    assert live(service, "canary")["spec"]["replicas"] == 0
    changed = [
        each.plural
        for each in cluster.server.writes()[writes:]
        if any(path in str(each.body) for path in ("/weight", "/spec/replicas"))
    ]
    assert changed[-2:] == ["virtualservices", "deployments"]


@pytest.mark.parametrize(
    ("tag", "why"), [("never", "runs and is not ready"), ("crash", "CrashLoopBackOff")]
)
def test_pods_that_never_get_ready_get_no_request(
    cluster: Cluster, service: ExampleService, plan: Path, state: Path, tag: str, why: str
) -> None:
    give_up_soon(service, "canary")

    run = call(*cluster.run(plan, state, "--image", f"reg/kv:{tag}"))

    assert run.code == 1, run.err
    assert service.history == [0]
    told = last_event(state)
    assert (told["kind"], told["reason"].partition(":")[0]) == ("rolled_back", "pods")
    assert "the pods did not become ready in time" in told["detail"]
    assert why in told["detail"]
    assert live(service, "canary")["spec"]["replicas"] == 0


def test_stable_pods_that_do_not_take_the_release_get_their_old_template_back(
    cluster: Cluster, service: ExampleService, plan: Path, state: Path, unready: list[int]
) -> None:
    """The stable pods have another node pool, say: the canary runs, they don't."""
    give_up_soon(service, "stable")
    old = live(service, "stable")["spec"]["template"]

    def admit(document: dict[str, Any]) -> str | None:
        if document.get("kind") == "Deployment" and document["metadata"]["name"] == "kv-stable":
            [container] = document["spec"]["template"]["spec"]["containers"]
            container["image"] = container["image"].replace("kv:2", "kv:never")
        return None

    cluster.server.validate = admit
    try:
        run = call(*cluster.run(plan, state, "--image", NEW))
    finally:
        cluster.server.validate = None

    assert run.code == 1, run.out + run.err
    assert service.history == [0, 50, 100, 0]
    assert unready == []
    assert live(service, "stable")["spec"]["template"] == old
    assert last_event(state)["reason"].startswith("pods: ")


def test_an_image_needs_workloads_and_another_one_is_not_taken_meanwhile(
    cluster: Cluster, service: ExampleService, tmp_path: Path, plan: Path, state: Path
) -> None:
    without = write_rollout(tmp_path / "without", service.namespace)

    said = call(*cluster.run(without, state, "--image", NEW))
    assert said.code == 2
    assert "add workloads to plan.yaml" in said.err

    service.errors["canary"] = 0.5
    assert call(*cluster.run(plan, state, "--image", NEW)).code == 1
    said = call(*cluster.run(plan, state, "--image", "reg/kv:3"))
    assert said.code == 2
    assert "the last rollout was of reg/kv:2; start a new one with --again" in said.err
