"""``run`` of a plan whose steps have two VirtualServices, through a kill between the two."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import yaml

from tests.rollout.cli.cli_process import killed_when
from tests.rollout.cli.cli_runner import Cluster, call, events
from tests.rollout.cli.example_service import STEPS, ExampleService, step, write_rollout
from tests.rollout.cluster.virtual_services import COLLECTION, live

NAME = "kv-inside"


def inside(namespace: str, percent: int) -> dict[str, Any]:
    """Return the second object of a step, for a host that only the mesh knows."""
    document = step(namespace, percent)
    document["metadata"]["name"] = NAME
    document["spec"] |= {"hosts": ["kv.inside.example.com"], "gateways": ["mesh"]}
    return document


def test_two_objects_move_together_through_a_kill_between_them(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    plan = write_rollout(tmp_path / "both", service.namespace)
    for name, percent in STEPS.items():
        text = yaml.safe_dump(inside(service.namespace, percent))
        (plan / "steps" / name / "same-inside.yaml").write_text(text)
    cluster.server.put(COLLECTION, live(inside(service.namespace, 0)))

    def percent_inside() -> int:
        document = cluster.server.objects[COLLECTION, service.namespace, NAME]
        return int(document["spec"]["http"][0]["route"][1]["weight"])

    arguments = cluster.run(plan, state)
    code = killed_when(tmp_path, cluster.server, lambda: service.share == 50, *arguments)
    assert code == -signal.SIGKILL
    assert percent_inside() == 0

    said = call("status", *cluster.of(plan, state), "--format", "json")
    live_weights = {each["path"]: each["percent"] for each in json.loads(said.out)["live"]}
    assert live_weights == {
        "VirtualService kv spec.http[0].route[1].weight": 50,
        f"VirtualService {NAME} spec.http[0].route[1].weight": 0,
    }

    assert call(*arguments).code == 0
    assert (service.share, percent_inside()) == (100, 100)
    # The half of the change is undone, and the step decided on again.
    assert service.history == [0, 50, 0, 50, 100]
    assert [each["kind"] for each in events(state) if each["kind"] != "window"][-1] == "promoted"
