"""``run`` with gates that ask a command, HTTP and Prometheus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rollout.cli.cli_runner import Cluster, call, call_and_abort, has_held
from tests.rollout.cli.example_service import TIMES, ExampleService, write_rollout

COUNTER = "istio_request_duration_milliseconds_count"
GATES = """\
gates:
  - {{name: orders, when: always, interval: 100ms, compare: {{
      total: '{counter}{{destination_service_namespace="{ns}"}}',
      bad: '{counter}{{destination_service_namespace="{ns}",response_code="503"}}',
      label: {{name: destination_workload, stable: kv-stable, canary: kv-canary}}}}}}
  - {{name: traffic, when: always, interval: 100ms, denied: hold, prometheus: {{
      query: 'count({counter}{{destination_service_namespace="{ns}"}})',
      min: {least}}}}}
  - {{name: calendar, steps: ["50"], interval: 100ms, command: [sh, -c, 'cat > {asked}']}}
"""


def test_every_kind_of_gate_lets_a_good_release_through(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    asked = tmp_path / "asked.json"
    gates = GATES.format(counter=COUNTER, ns=service.namespace, asked=asked, least=1)
    plan = write_rollout(tmp_path / "gated", service.namespace, TIMES + gates)

    run = call(*cluster.run(plan, state))

    assert run.code == 0, run.out + run.err
    question = json.loads(asked.read_text())
    assert (question["rollout"], question["step"], question["next"]) == ("gated", "0", "50")


def test_a_threshold_that_is_not_met_holds_the_rollout(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path
) -> None:
    gates = GATES.format(counter=COUNTER, ns=service.namespace, asked="/dev/null", least=1000)
    plan = write_rollout(tmp_path / "gated", service.namespace, TIMES + gates)

    run = call_and_abort(
        state, lambda: has_held(state, "traffic denies"), *cluster.run(plan, state)
    )

    assert run.code == 1, run.out + run.err
    assert service.history == [0]
    assert "gate: traffic denies: 1, min 1000" in run.out


@pytest.mark.parametrize("name", ["TALLYKV_NO_SUCH_TOKEN"])
def test_a_secret_that_is_not_set_is_named(
    cluster: Cluster, service: ExampleService, tmp_path: Path, state: Path, name: str
) -> None:
    gate = f"{{url: 'http://localhost:1/', headers: {{Authorization: 'Bearer ${{{name}}}'}}}}"
    text = f"{TIMES}gates: [{{name: theirs, http: {gate}}}]\n"
    plan = write_rollout(tmp_path / "gated", service.namespace, text)

    run = call(*cluster.run(plan, state))

    assert run.code == 2
    assert f"an environment variable that is not set: '{name}'" in run.err
