"""Manifests without steps become a rollout, or are refused with what to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollout.manifests.weighted_rules import weighted_rules
from rollout.plan.derived_plan import load_derived_plan
from rollout.plan.loading import load_plan
from rollout.plan.model import Plan
from rollout.plan.plan_file import PlanInvalid
from tests.rollout.plan.manifests import (
    api_route,
    backend,
    routes,
    service,
    subset,
    with_services,
    with_subsets,
    write,
)
from tests.rollout.plan.plans import write_plan

BOTH = subset("v1", 90), subset("v2", 10)
SPEC = """\
stable: reviews-v1
canary: reviews-v2
steps: [steps-0, steps-25, steps-100]
"""
SERVICES = service("reviews-v1", 1), service("reviews-v2", 0)


def weights(plan: Plan) -> list[list[int]]:
    """Return the weights of the only rule at each step."""
    return [
        [each.weight for each in next(weighted_rules(step.routes)).destinations]
        for step in plan.steps
    ]


def refusal(directory: Path, texts: list[str], stable: str, canary: str) -> str:
    with pytest.raises(PlanInvalid) as refused:
        load_derived_plan(write(directory, texts), stable=stable, canary=canary)
    return str(refused.value)


@pytest.mark.parametrize(
    ("texts", "stable", "canary"),
    [
        (with_subsets(routes(*BOTH)), "v1", "v2"),
        (with_services(routes(*SERVICES)), "reviews-v1", "reviews-v2"),
    ],
)
def test_the_steps_have_the_default_weights(
    tmp_path: Path, texts: list[str], stable: str, canary: str
) -> None:
    loaded = load_derived_plan(write(tmp_path / "mesh", texts), stable=stable, canary=canary)

    plan = loaded.plan
    assert [step.share for step in plan.steps] == [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]
    assert weights(plan) == [[100 - each, each] for each in (0, 1, 5, 10, 25, 50, 100)]
    assert (plan.name, plan.stable, plan.canary) == ("mesh", stable, canary)
    assert "VirtualService" not in {each.kind for each in loaded.resources}


def test_other_destinations_keep_their_part(tmp_path: Path) -> None:
    third = with_subsets(routes(subset("v1", 60), subset("v2", 20), service("reviews", 20)))

    plan = load_derived_plan(write(tmp_path / "mesh", third), stable="v1", canary="v2").plan

    assert weights(plan)[3] == [80 * 90, 80 * 10, 20 * 100]


def test_one_of_several_virtual_services_is_chosen_by_name(tmp_path: Path) -> None:
    several = with_subsets(routes(*BOTH), routes(*BOTH, name="inner", host="inner.example.com"))
    directory = write(tmp_path / "mesh", several)

    with pytest.raises(PlanInvalid, match="VirtualService shop/inner; choose one with --route"):
        load_derived_plan(directory, stable="v1", canary="v2")
    for name in ("inner", "shop/inner"):
        chosen = load_derived_plan(directory, stable="v1", canary="v2", route=name)
        assert chosen.plan.virtual_service == "inner"
        assert [each.name for each in chosen.resources if each.kind == "VirtualService"] == [
            "reviews"
        ]


def test_what_makes_no_rollout_is_refused(tmp_path: Path) -> None:
    only_one = with_subsets(routes(subset("v1", 1)))
    twice = with_subsets(routes(subset("v1", 1), subset("v1", 1), subset("v2", 1)))

    said = refusal(tmp_path / "a", with_subsets(routes(*BOTH)), "v1", "v3")
    assert said == "no subset and no Service is called v3; the manifests have reviews, v1, v2"
    said = refusal(tmp_path / "b", only_one, "v1", "v2")
    assert said.startswith(
        "no VirtualService, HTTPRoute or GRPCRoute has a route to both v1 and v2; add the canary"
    )
    assert "spec.http[0].route has a release twice" in refusal(tmp_path / "c", twice, "v1", "v2")
    assert "name two releases" in refusal(tmp_path / "d", only_one, "v1", "v1")


ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: reviews, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: reviews-v1}
  strategy:
    canary:
      trafficRouting:
        istio:
          virtualService: {name: reviews}
          destinationRule: {name: reviews, stableSubsetName: v1, canarySubsetName: v2}
      steps: [{setWeight: 10}]
"""
FLAGGER = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: reviews, namespace: shop}
spec:
  provider: istio
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: reviews}
  service: {port: 9080}
  analysis: {interval: 1m, threshold: 5}
"""


@pytest.mark.parametrize(("text", "kind"), [(ROLLOUT, "Rollout"), (FLAGGER, "Canary")])
def test_weights_of_another_controller_are_not_rehearsed(
    tmp_path: Path, text: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # lint has its own opinion of these manifests.
    monkeypatch.setattr("rollout.plan.derived_plan.refuse_errors", lambda _: None)

    said = refusal(tmp_path / "mesh", with_subsets(routes(*BOTH), text), "v1", "v2")

    assert said.startswith(f"{kind} shop/reviews sets the weights of VirtualService shop/reviews")
    assert "is not modelled: its controller" in said


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_the_weights_of_a_route_of_the_gateway_api_are_moved(tmp_path: Path, kind: str) -> None:
    both = backend("reviews-v1"), backend("reviews-v2", 0)
    texts = with_services(api_route(*both, kind=kind), api_route(backend("reviews-v1"), name="x"))

    loaded = load_derived_plan(
        write(tmp_path / "mesh", texts), stable="reviews-v1", canary="reviews-v2"
    )

    plan = loaded.plan
    assert [step.share for step in plan.steps] == [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]
    assert weights(plan) == [[100 - each, each] for each in (0, 1, 5, 10, 25, 50, 100)]
    assert plan.steps[0].routes.kind == kind
    assert [each.name for each in loaded.resources if each.kind.endswith("Route")] == ["x"]


def test_an_object_is_chosen_by_its_kind_where_two_have_its_name(tmp_path: Path) -> None:
    both = backend("reviews-v1"), backend("reviews-v2", 0)
    texts = with_services(api_route(*both), routes(*SERVICES, host="other.example.com"))
    directory = write(tmp_path / "mesh", texts)

    for route in ("HTTPRoute/reviews", "HTTPRoute/shop/reviews"):
        chosen = load_derived_plan(directory, stable="reviews-v1", canary="reviews-v2", route=route)
        assert chosen.plan.steps[0].routes.kind == "HTTPRoute"


def test_a_directory_of_steps_may_have_http_routes(tmp_path: Path) -> None:
    directory = Path(write_plan(tmp_path, {}, SPEC))
    (directory / "cluster.yaml").unlink()
    write(directory / "1-mesh", with_services())
    (directory / "1-mesh" / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    for percent in (0, 25, 100):
        split = backend("reviews-v1", 100 - percent), backend("reviews-v2", percent)
        write(directory / f"steps-{percent}", [api_route(*split)])

    plan = load_plan(str(directory)).plan

    assert [step.share for step in plan.steps] == [0, 0.25, 1]
    assert plan.steps[0].routes.kind == "HTTPRoute"


def test_an_object_of_two_kustomizations_is_not_applied_twice(tmp_path: Path) -> None:
    for name in ("staging", "production"):
        write(tmp_path / name, with_subsets(routes(*BOTH)))
        (tmp_path / name / "kustomization.yaml").write_text("resources: [all.yaml]\n")

    with pytest.raises(PlanInvalid, match="name the directory that is applied"):
        load_derived_plan(str(tmp_path), stable="v1", canary="v2")


def test_a_plan_file_may_name_services(tmp_path: Path) -> None:
    directory = Path(write_plan(tmp_path, {}, SPEC))
    (directory / "cluster.yaml").unlink()
    write(directory / "1-mesh", with_services())
    (directory / "1-mesh" / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    for percent in (0, 25, 100):
        step = routes(service("reviews-v1", 100 - percent), service("reviews-v2", percent))
        named = step.replace("- retries", "- name: all\n      retries")
        write(directory / f"steps-{percent}", [named])

    plan = load_plan(str(directory)).plan

    assert [step.share for step in plan.steps] == [0, 0.25, 1]
