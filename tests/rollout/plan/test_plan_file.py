"""The fields of plan.yaml: present names, deprecated names, and mistakes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rollout.plan.loading import load_plan
from rollout.plan.model import CanaryRequests, SmokeTest, StepConditions, WorkloadNames
from rollout.plan.plan_file import PlanFile, PlanInvalid, parse_plan_file
from tests.rollout.plan.plans import split, write_plan

ROOT: Final = Path(__file__).parents[3]
VALUES: Final[dict[str, Any]] = {
    "prerequisites": ["prerequisites.yaml"],
    "setup": ["1-workloads"],
    "steps": ["off", "on"],
    "smokeTests": [{"path": "/v1/limits"}],
    "requests": {"headers": {"x-variant": "b"}, "share": 0.4},
}
RENAMED: Final = [
    ("given", "prerequisites"),
    ("make", "setup"),
    ("checks", "smokeTests"),
    ("asked", "requests"),
]


def parse(value: Any) -> tuple[PlanFile, tuple[str, ...]]:
    return parse_plan_file(value, "plan.yaml")


def test_the_present_names_are_read_without_a_warning() -> None:
    spec, warnings = parse(VALUES)

    assert spec.prerequisites == ("prerequisites.yaml",)
    assert spec.setup == ("1-workloads",)
    assert spec.steps == ("off", "on")
    assert [each.path for each in spec.smoke_tests] == ["/v1/limits"]
    assert spec.requests is not None
    assert spec.requests.share == 0.4
    assert warnings == ()


@pytest.mark.parametrize(("old", "new"), RENAMED)
def test_an_old_name_is_read_with_a_warning_that_names_both(old: str, new: str) -> None:
    value = {old if name == new else name: each for name, each in VALUES.items()}

    spec, warnings = parse(value)

    assert spec == parse(VALUES)[0]
    assert warnings == (f"plan.yaml: {old} is deprecated; rename it to {new}",)


@pytest.mark.parametrize(("old", "new"), RENAMED)
def test_an_old_and_a_new_name_together_are_refused(old: str, new: str) -> None:
    with pytest.raises(PlanInvalid) as refused:
        parse({old: VALUES[new], new: VALUES[new]})

    assert str(refused.value) == (
        f"plan.yaml: {old}: this is the old name of {new}, which is there too; remove {old}"
    )


def test_a_mistake_in_a_renamed_field_is_reported_under_the_name_in_the_file() -> None:
    with pytest.raises(PlanInvalid, match=r"^plan\.yaml: checks\[0\]\.path: "):
        parse({"checks": [{"path": "limits"}]})
    with pytest.raises(PlanInvalid, match=r"^plan\.yaml: smokeTests\[0\]\.path: "):
        parse({"smokeTests": [{"path": "limits"}]})


@pytest.mark.parametrize("value", [[], "text", 3])
def test_a_file_that_is_no_mapping_is_refused(value: Any) -> None:
    with pytest.raises(PlanInvalid, match=r"^plan\.yaml: the file: "):
        parse(value)


def test_warnings_come_with_the_loaded_plan(tmp_path: Path) -> None:
    directory = write_plan(tmp_path, {"0": split(0), "1": split(100)}, "given: [cluster.yaml]\n")

    loaded = load_plan(directory)

    file = tmp_path / "plan.yaml"
    assert loaded.warnings == (f"{file}: given is deprecated; rename it to prerequisites",)


def test_smoke_tests_and_canary_requests_reach_the_plan(tmp_path: Path) -> None:
    text = (
        "prerequisites: [cluster.yaml]\nsmokeTests: [{path: /livez, status: 204}]\n"
        "requests: {headers: {x-variant: b}, share: 0.4}\n"
    )

    plan = load_plan(write_plan(tmp_path, {"0": split(0), "1": split(100)}, text)).plan

    assert plan.smoke_tests == (SmokeTest("GET", "/livez", (), 204),)
    assert plan.canary_requests == CanaryRequests((("x-variant", "b"),), 0.4)


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ("{headers: {}}", "requests.headers: "),
        ("{share: 0.3}", "requests.headers: "),
        ("{headers: {a: b}, share: 1}", "requests.share: "),
        ("{headers: {a: on}}", "true is not a text; put it in quotes"),
    ],
)
def test_a_mistake_in_the_canary_requests_is_named(requests: str, message: str) -> None:
    with pytest.raises(PlanInvalid) as refused:
        parse({"requests": yaml.safe_load(requests)})

    assert message in str(refused.value)


@pytest.mark.parametrize("file", sorted((ROOT / "istio").rglob("plan.yaml")), ids=str)
def test_our_plans_use_the_present_names(file: Path) -> None:
    _, warnings = parse(yaml.safe_load(file.read_text()))

    assert warnings == ()


def test_workloads_reach_the_plan_without_their_kind(tmp_path: Path) -> None:
    text = (
        "prerequisites: [cluster.yaml]\n"
        "workloads: {stable: Deployment/kv, canary: Deployment/kv-canary}\n"
    )

    plan = load_plan(write_plan(tmp_path, {"0": split(0), "1": split(100)}, text)).plan

    assert plan.workloads == WorkloadNames("kv", "kv-canary")


@pytest.mark.parametrize(
    ("stable", "message"),
    [
        ("Deployment/kv-canary", "are one Deployment; name two"),
        ("StatefulSet/kv", "workloads.stab"),
    ],
)
def test_a_mistake_in_the_workloads_is_named(stable: str, message: str) -> None:
    with pytest.raises(PlanInvalid, match=message):
        parse({"workloads": {"stable": stable, "canary": "Deployment/kv-canary"}})


def test_conditions_reach_their_steps_and_replace_parts_of_the_objective(tmp_path: Path) -> None:
    text = (
        "prerequisites: [cluster.yaml]\nobjective: {errorRatio: 0.02, falseRollback: 0.05}\n"
        "conditions: [{step: '1', time: 30m, requests: 9, pause: true,"
        " objective: {errorRatio: 0.001}}]\n"
    )
    steps = {"0": split(0), "1": split(1), "100": split(100)}

    plan = load_plan(write_plan(tmp_path, steps, text)).plan

    objective = dataclasses.replace(plan.objective, error_ratio=0.001)
    assert [each.conditions for each in plan.steps] == [
        StepConditions(),
        StepConditions(1800, 9, pause=True, objective=objective),
        StepConditions(),
    ]


def test_a_condition_of_no_step_is_refused(tmp_path: Path) -> None:
    text = "prerequisites: [cluster.yaml]\nconditions: [{step: '5', requests: 9}]\n"

    with pytest.raises(PlanInvalid, match="there is no step 5; the steps are 0, 1"):
        load_plan(write_plan(tmp_path, {"0": split(0), "1": split(100)}, text))
