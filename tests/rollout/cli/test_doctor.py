"""``doctor`` says what a rollout lacks, each line with what to do next, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rollout.cli.cli_runner import Cluster, Result, call
from tests.rollout.cli.example_service import ExampleService, write_rollout
from tests.support.waiting import until

SECONDS = 120.0


@pytest.fixture
def plan(tmp_path: Path, service: ExampleService) -> Path:
    return write_rollout(tmp_path / "rollout", service.namespace)


def put_pod(cluster: Cluster, service: ExampleService, track: str, *containers: str) -> None:
    labels = {"app": "kv", "track": track}
    metadata = {"name": f"kv-{track}-1", "namespace": service.namespace, "labels": labels}
    spec = {"containers": [{"name": each} for each in containers]}
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    cluster.server.put("/v1/pods", {**document, "spec": spec})


def doctor(cluster: Cluster, plan: Path, *more: str, prometheus: str | None = None) -> Result:
    where = ("--kubeconfig", cluster.kubeconfig, "--prometheus", prometheus or cluster.prometheus)
    return call("doctor", plan, *where, *more)


def lines_of(said: Result) -> dict[str, str]:
    """Return each finding with its health."""
    found = [line.split(maxsplit=1) for line in said.out.splitlines() if line[0] != " "]
    return {what: health for health, what in found}


def test_a_cluster_with_all_it_needs_lacks_nothing(
    cluster: Cluster, service: ExampleService, plan: Path
) -> None:
    for track in ("stable", "canary"):
        put_pod(cluster, service, track, "kv", "istio-proxy")
    writes = len(cluster.server.writes())

    def healthy() -> bool:
        return "the counters of the releases can be read" in doctor(cluster, plan).out

    until(healthy, seconds=SECONDS, what="the first scrape")
    said = doctor(cluster, plan)

    assert said.code == 0, said.out
    found = lines_of(said)
    assert found["all 2 pods of the releases are in the mesh"] == "ok"
    assert found["you may patch virtualservices.networking.istio.io kv"] == "ok"
    assert found["no request has reached kv-canary yet"] == "unknown"
    assert len(cluster.server.writes()) == writes


def test_each_thing_that_is_missing_is_said_with_what_to_do(
    cluster: Cluster, service: ExampleService, plan: Path
) -> None:
    put_pod(cluster, service, "stable", "kv", "istio-proxy")
    put_pod(cluster, service, "canary", "kv")
    cluster.server.forbidden = {("patch", "virtualservices"), ("list", "canaries")}

    def scraped() -> bool:
        said = doctor(cluster, plan, "--label", "destination_version=1.4,1.5")
        return "has no label destination_version" in said.out

    try:
        until(scraped, seconds=SECONDS, what="the first scrape")
        said = doctor(cluster, plan, "--label", "destination_version=1.4,1.5")
    finally:
        cluster.server.forbidden = set()

    assert said.code == 1
    lines = said.out.splitlines()
    missing = {
        line.split(maxsplit=1)[1]: lines[index + 1].strip()
        for index, line in enumerate(lines)
        if line.startswith("missing")
    }
    assert [each for each in missing.values() if not each.startswith("→")] == []
    assert (
        "kustomize/components/rollout-runner"
        in missing["you may not patch virtualservices.networking.istio.io kv"]
    )
    assert (
        "istio-injection=enabled" in missing["1 of 2 pods are not in the mesh, such as kv-canary-1"]
    )
    [label] = [each for each in missing if "has no label destination_version" in each]
    assert "tagOverrides" in missing[label]


def test_a_prometheus_that_is_not_there_is_named(
    cluster: Cluster, service: ExampleService, plan: Path
) -> None:
    said = doctor(cluster, plan, prometheus="http://127.0.0.1:1")

    assert said.code == 1
    assert "missing  http://127.0.0.1:1: " in said.out
    assert said.out.rstrip().endswith("→ give --prometheus URL")
