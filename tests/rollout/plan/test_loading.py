"""A directory becomes a plan, or is refused before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from rollout.lint.kustomize import CouldNotRun
from rollout.lint.resource_parser import ManifestText, ResourceParser
from rollout.lint.schemas import Schemas
from rollout.manifests.weighted_rules import Routes
from rollout.plan.canary_shares import baseline_shares, canary_shares
from rollout.plan.loading import load_plan
from rollout.plan.model import SmokeTest, Strategy
from rollout.plan.plan_file import PlanInvalid
from rollout.plan.releases import Releases
from tests.rollout.plan.plans import BETA, PATHS, routes, rule, split, write_plan
from tests.support.manifests import need_kustomize

ROOT: Final = Path(__file__).parents[3]


def load(
    directory: Path, steps: dict[str, str], plan: str = "prerequisites: [cluster.yaml]\n"
) -> list[str]:
    """Return the steps of a plan as ``name share``."""
    planned = load_plan(write_plan(directory, steps, plan))
    return [f"{step.name} {step.share}" for step in planned.plan.steps]


def refusal(
    directory: Path, steps: dict[str, str], plan: str = "prerequisites: [cluster.yaml]\n"
) -> str:
    with pytest.raises(PlanInvalid) as refused:
        load(directory, steps, plan)
    return str(refused.value)


def test_our_canary_begins_at_nothing_and_ends_at_everything() -> None:
    need_kustomize()

    planned = load_plan(str(ROOT / "istio" / "canary"))

    assert planned.plan.strategy is Strategy.CANARY
    shares = [step.share for step in planned.plan.steps]
    assert shares == [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.98, 1]
    assert (planned.plan.namespace, planned.plan.virtual_service) == ("kv", "kv")
    kinds = {(each.kind, each.name) for each in planned.resources}
    assert {("Deployment", "kv-stable"), ("Deployment", "kv-canary"), ("Gateway", "kv")} <= kinds
    assert "VirtualService" not in {kind for kind, _ in kinds}


def test_our_subsets_are_those_of_the_directories_before_the_steps() -> None:
    need_kustomize()

    planned = load_plan(str(ROOT / "istio" / "canary"))

    (rule_,) = [each for each in planned.resources if each.kind == "DestinationRule"]
    assert [each["name"] for each in rule_.spec["subsets"]] == ["stable", "canary"]


def test_our_blue_green_flips_once_and_is_looked_at_before() -> None:
    need_kustomize()

    plan = load_plan(str(ROOT / "istio" / "blue-green")).plan

    assert plan.strategy is Strategy.BLUE_GREEN
    assert [(step.name, step.share) for step in plan.steps] == [("blue", 0), ("green", 1)]
    assert plan.smoke_tests[0] == SmokeTest("GET", "/v1/limits", (("x-preview", "green"),), 200)


def test_our_a_b_is_shared_out_by_the_requests_themselves() -> None:
    need_kustomize()

    plan = load_plan(str(ROOT / "istio" / "ab")).plan

    assert [(step.name, step.share) for step in plan.steps] == [("off", 0), ("on", None)]


def test_steps_are_ordered_by_their_numbers_not_as_texts(tmp_path: Path) -> None:
    steps = {name: split(int(name)) for name in ("100", "20", "3", "0")}

    assert load(tmp_path, steps) == ["0 0.0", "3 0.03", "20 0.2", "100 1.0"]


def test_weights_need_not_sum_to_a_hundred(tmp_path: Path) -> None:
    steps = {"0": split(0), "1": routes(rule("all", {"stable": 2, "canary": 1}))}

    assert load(tmp_path, steps) == ["0 0.0", f"1 {1 / 3}"]


def test_a_preview_that_never_changes_is_no_share(tmp_path: Path) -> None:
    preview = rule("preview", {"canary": 100}, BETA)
    steps = {
        "0": routes(preview, rule("all", {"stable": 100})),
        "1": routes(preview, rule("all", {"canary": 100})),
    }

    assert load(tmp_path, steps) == ["0 0.0", "1 1.0"]


def test_further_rules_for_the_canary_leave_the_share_to_the_requests(tmp_path: Path) -> None:
    steps = {
        "0": split(0),
        "1": routes(
            rule("those", {"canary": 100}, BETA), rule("all", {"stable": 90, "canary": 10})
        ),
    }

    assert load(tmp_path, steps) == ["0 0.0", "1 None"]


def test_the_objective_is_read_with_its_units(tmp_path: Path) -> None:
    steps = {"0": split(0), "1": split(100)}
    write_plan(
        tmp_path,
        steps,
        "prerequisites: [cluster.yaml]\nstepTime: 90s\ndeadline: 2h\npoll: 2s\n"
        "objective: {errorRatio: 0.002, slow: [50ms, 1s], falseRollback: 0.02}\n",
    )

    plan = load_plan(str(tmp_path / "plan.yaml")).plan

    assert (plan.step_seconds, plan.deadline_seconds, plan.poll_seconds) == (90, 7200, 2)
    assert plan.objective.error_ratio == 0.002
    assert plan.objective.slow_seconds == (0.05, 1.0)
    assert (plan.objective.false_rollback, plan.objective.false_promotion) == (0.02, 0.05)


def test_what_the_cluster_has_can_be_named_on_the_command_line(tmp_path: Path) -> None:
    directory = write_plan(tmp_path, {"0": split(0), "1": split(100)}, "")

    with pytest.raises(PlanInvalid, match="subset-undefined"):
        load_plan(directory)
    assert load_plan(directory, prerequisites=[str(tmp_path / "cluster.yaml")]).plan.steps


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("stepTime: soon\n", 'stepTime: "soon" is not a duration'),
        ("steptime: 60s\n", "steptime: there is no such field"),
        ("strategy: yolo\n", "strategy: "),
        ("objective: {errorRatio: 2}\n", "objective.errorRatio: "),
        (
            "objective: {slow: [1s, 100ms]}\n",
            "objective.slow: the latency thresholds do not increase",
        ),
        ("stable: one\ncanary: one\n", "stable and canary are one subset"),
        ("poll: 10s\nstepTime: 5s\n", "poll is longer than stepTime"),
        ("smokeTests: [{path: limits}]\n", "smokeTests[0].path: "),
        ("a: [\n", "can't be read"),
        ("{}\n---\n{}\n", "holds 2 documents"),
    ],
)
def test_a_mistake_in_the_plan_is_named_by_its_field(tmp_path: Path, plan: str, said: str) -> None:
    assert said in refusal(tmp_path, {"0": split(0), "1": split(100)}, plan)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"0": split(5), "1": split(100)}, "0: the first step is used for a rollback"),
        ({"0": split(0), "1": split(0)}, "1: the step gives the canary no requests"),
        ({"0": split(0), "1": split(50), "2": split(20)}, "decreases from one step to the next"),
        ({"0": split(0)}, "has no steps"),
        (
            {"0": split(0), "1": split(10).replace("    - name: all\n", "    -\n")},
            "has no unique name",
        ),
        ({"0": split(0), "1": split(10).replace("name: kv,", "name: other,")}, "claimed"),
        ({"0": split(0), "1": split(10).replace("subset: canary", "subset: purple")}, "purple"),
    ],
)
def test_steps_that_make_no_rollout_are_refused(
    tmp_path: Path, steps: dict[str, str], said: str
) -> None:
    assert said in refusal(tmp_path, steps)


def test_rules_that_disagree_about_the_share_are_named(tmp_path: Path) -> None:
    def step(reads: int, writes: int) -> str:
        return routes(
            rule("entries", {"stable": 100 - reads, "canary": reads}, PATHS),
            rule("rest", {"stable": 100 - writes, "canary": writes}),
        )

    said = refusal(tmp_path, {"0": step(0, 0), "1": step(10, 20)})

    assert "the rules entries, rest give the canary different shares" in said


def test_a_step_is_routes_and_nothing_else(tmp_path: Path) -> None:
    gateway = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: shop}\n"

    said = refusal(tmp_path, {"0": split(0), "1": split(10) + gateway})

    assert "a step must be VirtualServices, HTTPRoutes or GRPCRoutes and nothing else" in said
    assert "ConfigMap/extra" in said


def inside(canary: int, name: str = "kv-inside", namespace: str = "shop") -> str:
    """Return a second object of a step, for another host."""
    text = split(canary).replace(
        "name: kv, namespace: shop", f"name: {name}, namespace: {namespace}"
    )
    hosts = "hosts: [kv.inside.example.com]"
    text = text.replace("hosts: [kv.example.com, kv]", hosts)
    return "---\n" + text.replace("gateways: [kv, mesh]", "gateways: [mesh]")


def test_a_step_may_be_several_objects(tmp_path: Path) -> None:
    steps = {each: split(int(each)) + inside(int(each)) for each in ("0", "10", "100")}

    plan = load_plan(write_plan(tmp_path, steps)).plan

    assert [step.share for step in plan.steps] == [0, 0.1, 1]
    assert plan.virtual_service == "kv"
    for step in plan.steps:
        assert [each.title for each in step.objects] == [
            "VirtualService shop/kv",
            "VirtualService shop/kv-inside",
        ]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (inside(20), "1: the objects VirtualService shop/kv, VirtualService shop/kv-inside give"),
        (
            inside(10, name="other").replace("kv.inside", "kv.other"),
            "VirtualService kv-inside, VirtualService other; give each",
        ),
        ("", "the steps change different objects: VirtualService kv, VirtualService kv-inside"),
    ],
)
def test_the_objects_of_the_steps_must_fit_together(tmp_path: Path, second: str, why: str) -> None:
    assert why in refusal(tmp_path, {"0": split(0) + inside(0), "1": split(10) + second})


def test_the_objects_of_a_step_are_in_one_namespace(tmp_path: Path) -> None:
    steps = {
        each: split(int(each))
        + inside(int(each), namespace="elsewhere").replace(
            "host: kv,", "host: kv.shop.svc.cluster.local,"
        )
        for each in ("0", "10")
    }

    assert "in several namespaces: elsewhere, shop; make a plan for each" in refusal(
        tmp_path, steps
    )


def test_what_the_linter_refuses_is_not_started(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"0": split(0), "1": split(10).replace("weight: 90", "weight: -90")})

    assert "negative-weight" in said
    assert "spec.http[0].route[0].weight" in said


@pytest.mark.parametrize("name", ["nowhere", "nowhere/plan.yaml"])
def test_a_path_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CouldNotRun, match="nowhere"):
        load_plan(str(tmp_path / name))


@pytest.mark.parametrize("name", ["mirror", "microservices", "fault/dev", "fault/staging"])
def test_where_nobody_is_compared_the_steps_are_walked(name: str) -> None:
    need_kustomize()

    plan = load_plan(str(ROOT / "istio" / name)).plan

    assert plan.strategy is Strategy.WALK
    assert {step.share for step in plan.steps} == {None}


def test_a_baseline_has_a_share_of_its_own_at_each_step(tmp_path: Path) -> None:
    steps = {
        "0": routes(rule("all", {"stable": 100, "canary": 0, "baseline": 0})),
        "10": routes(rule("all", {"stable": 80, "canary": 10, "baseline": 10})),
        "100": routes(rule("all", {"stable": 0, "canary": 100, "baseline": 0})),
    }
    releases = Releases("stable", "canary", "shop", "baseline")

    def services() -> dict[str, Routes]:
        return {name: parse_routes(text) for name, text in steps.items()}

    assert canary_shares(services(), releases) == (0.0, 0.1, 1.0)
    assert baseline_shares(services(), releases) == (0.0, 0.1, 0.0)


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
@pytest.mark.parametrize("named", [False, True])
def test_a_rule_for_requests_with_a_header_is_none_of_the_other_rules(
    kind: str, *, named: bool
) -> None:
    """It stands before them, so their places change."""

    def step(*rules: str) -> Routes:
        text = f"apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\n"
        text += "metadata: {name: kv, namespace: shop}\nspec:\n  parentRefs: [{name: entry}]\n"
        return parse_routes(text + "  rules:\n" + "".join(f"    - {each}\n" for each in rules))

    def rule(name: str, backend: str, match: str = "") -> str:
        title = f"name: {name}, " if named else ""
        return f"{{{title}{match}backendRefs: [{{name: {backend}, port: 8080}}]}}"

    chosen = "matches: [{headers: [{name: x-variant, value: b}]}], "
    off = step(rule("all", "kv-stable"))
    on = step(rule("b", "kv-canary", chosen), rule("all", "kv-stable"))
    releases = Releases("kv-stable", "kv-canary", "shop", None)

    assert canary_shares({"off": off, "on": on}, releases) == (0.0, None)


def parse_routes(text: str) -> Routes:
    found, _ = ResourceParser(Schemas(None), "shop").parse(ManifestText("routes", text))
    routes_of = found[0].istio_object
    assert isinstance(routes_of, Routes)
    return routes_of
