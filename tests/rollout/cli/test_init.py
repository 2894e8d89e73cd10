"""``init`` writes a plan that lints clean, loads and rehearses, and never overwrites a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import yaml

from rollout.plan.loading import load_plan
from tests.rollout.cli.cli_process import finished
from tests.rollout.cli.cli_runner import Cluster, call
from tests.rollout.cli.test_rehearse_controllers import (
    BY_SERVICE,
    ISTIO,
    SERVICES,
    canary,
    rollout,
)
from tests.rollout.plan.manifests import API_GATEWAY, DEPLOYMENT, GATEWAY, SERVICE, write
from tests.rollout.rehearsal.plans import need_programs
from tests.support.manifests import need_kustomize

OWNED: Final = SERVICE.format(name="reviews", selector="app: reviews")
V1: Final = DEPLOYMENT.format(version="v1")
#: As the cluster returns it, and without a label that could tell two releases apart.
PLAIN: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: reviews
  namespace: shop
  uid: 7d0e
  resourceVersion: "17"
  annotations: {deployment.kubernetes.io/revision: "3", team: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews}}
    spec: {containers: [{name: reviews, image: "reviews:1", ports: [{containerPort: 9080}]}]}
status: {replicas: 1}
"""


@pytest.fixture(autouse=True)
def _kustomize() -> None:
    need_kustomize()


def lint_of(directory: Path) -> str:
    parts = [directory / each for each in ("1-workloads", "2-subsets", "steps")]
    said = call(
        *("lint", "--plan", "--min-severity", "warning"),
        *(each for each in parts if each.exists()),
        *("--with", directory / "prerequisites.yaml"),
    )
    assert said.code == 0, said.out
    return said.out


def test_a_deployment_gets_a_plan_that_lints_clean_and_rehearses(tmp_path: Path) -> None:
    need_programs()
    new = tmp_path / "new"
    source = write(tmp_path / "source", [PLAIN, OWNED])

    said = call("init", source, new)

    assert said.code == 0, said.err
    assert "adds the label track, which replaces its pods once" in said.out
    assert "0 errors, 0 warnings" in lint_of(new)
    for file in (each for each in new.rglob("*.yaml") if each.name != "kustomization.yaml"):
        assert file.read_text().startswith("# ")
    workloads = {
        each: yaml.safe_load((new / "1-workloads" / f"{each}.yaml").read_text())
        for each in ("stable", "canary")
    }
    assert {each["metadata"]["name"] for each in workloads.values()} == {
        "reviews",
        "reviews-canary",
    }
    assert workloads["stable"]["metadata"]["annotations"] == {"team": "shop"}
    assert "status" not in workloads["stable"]
    run = finished(
        *(tmp_path, "rehearse", new, "--stub", "--no-prometheus", "--step", "50"),
        *("--rate", "300", "--step-time", "500ms", "--poll", "250ms", "--deadline", "2s"),
    )
    assert run.process.returncode in {0, 3}, run.err
    assert "(50 % to the canary)" in run.out


def test_a_version_label_tells_the_releases_apart_without_new_pods(tmp_path: Path) -> None:
    new = tmp_path / "new"
    source = write(tmp_path / "source", [GATEWAY, V1, OWNED])

    said = call("init", source, new, "--gateway", "shop/edge", "--host", "reviews.example.com")

    assert said.code == 0, said.err
    assert not (new / "1-workloads" / "stable.yaml").exists()
    assert "0 errors, 0 warnings" in lint_of(new)
    loaded = load_plan(str(new))
    [rule] = [each for each in loaded.resources if each.kind == "DestinationRule"]
    assert [each["labels"] for each in rule.spec["subsets"]] == [
        {"version": "v1"},
        {"version": "v1-canary"},
    ]
    routes = loaded.plan.steps[0].document["spec"]
    assert routes["gateways"] == ["shop/edge", "mesh"]
    assert routes["hosts"] == ["reviews", "reviews.example.com"]


@pytest.mark.parametrize(
    ("texts", "shares"),
    [
        ([GATEWAY, V1, canary()], [0, 0.2, 0.4, 1]),
        (
            [API_GATEWAY, V1, canary("gatewayapi:v1", "gatewayRefs: [{name: edge}]")],
            [0, 0.2, 0.4, 1],
        ),
        ([GATEWAY, *SERVICES, BY_SERVICE, rollout(ISTIO)], [0, 0.05, 0.4, 1]),
    ],
    ids=["flagger-istio", "flagger-gateway-api", "argo"],
)
def test_a_controllers_steps_become_a_plan(
    texts: list[str], shares: list[float], tmp_path: Path
) -> None:
    new = tmp_path / "new"

    said = call("init", write(tmp_path / "source", texts), new)

    assert said.code == 0, said.err
    assert "delete the controller's object before you run this plan" in said.out
    assert [each.share for each in load_plan(str(new)).plan.steps] == shares
    # What Flagger itself writes has warnings.
    assert " 0 errors" in lint_of(new)


def test_what_runs_in_the_cluster_gets_a_plan(cluster: Cluster, tmp_path: Path) -> None:
    cluster.server.put("apps/v1/deployments", yaml.safe_load(PLAIN))
    live = yaml.safe_load(OWNED)
    live["spec"] |= {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"]}
    cluster.server.put("/v1/services", live)
    new = tmp_path / "new"
    where: list[str | Path] = ["--kubeconfig", cluster.kubeconfig, "--namespace", "shop"]

    said = call("init", "--live", "reviews", *where, new)
    missing = call("init", "--live", "nothing", *where, tmp_path / "other")

    assert said.code == 0, said.err
    assert "10.0.0.7" not in (new / "prerequisites.yaml").read_text()
    assert "0 errors, 0 warnings" in lint_of(new)
    assert missing.code == 2
    assert "Deployment shop/nothing and its Services can't be read: 404" in missing.err


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([PLAIN], "one Service must select the pods of shop/reviews; it is none"),
        ([PLAIN, V1, OWNED], "There is reviews, reviews-v1; choose one with --deployment"),
        ([PLAIN, OWNED, BY_SERVICE], "VirtualService shop/reviews is there already"),
        ([OWNED], "There is none; choose one"),
    ],
)
def test_what_gets_no_plan_is_named(texts: list[str], said: str, tmp_path: Path) -> None:
    new = tmp_path / "new"

    done = call("init", write(tmp_path / "source", texts), new)

    assert done.code == 2
    assert said in done.err
    assert not new.exists()


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    source = write(tmp_path / "source", [PLAIN, OWNED])
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "plan.yaml").write_text("mine")

    done = call("init", source, mine)

    assert done.code == 2
    assert f"{mine} is not empty" in done.err
    assert [each.name for each in mine.iterdir()] == ["plan.yaml"]
    assert (mine / "plan.yaml").read_text() == "mine"
