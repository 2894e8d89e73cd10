"""``run`` of a plan whose steps are an HTTPRoute, at a waypoint of the ambient mode."""

from __future__ import annotations

import json
from pathlib import Path

from tests.rollout.cli import http_route_service
from tests.rollout.cli.cli_runner import Cluster, call
from tests.rollout.cli.example_service import new_namespace
from tests.rollout.cluster.virtual_services import live


def test_a_plan_with_an_http_route_is_run(cluster: Cluster, tmp_path: Path, state: Path) -> None:
    namespace = new_namespace()
    document = live(http_route_service.step(namespace, 0))
    cluster.server.put(http_route_service.COLLECTION, document)
    service = http_route_service.HttpRouteService(namespace, cluster.server)
    plan = http_route_service.write_rollout(tmp_path / "http-route", namespace)

    with cluster.gateway.counting(service):
        run = call(*cluster.run(plan, state, "--reporter", "waypoint", "--serve", "0"))

    assert run.code == 0, run.out + run.err
    assert "live page: http://127.0.0.1:" in run.err
    assert service.history == [0, 50, 100]
    status = call("status", *cluster.of(Path(f"{namespace}/kv"), state), "--format", "json")
    path = "spec.rules[0].backendRefs[1].weight"
    assert json.loads(status.out)["live"] == [{"path": path, "percent": 100}]
