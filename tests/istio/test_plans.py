"""The plans under istio/, directory by directory: every route always has a destination."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.istio.test_routes import ISTIO
from tests.istio.walks import BEFORE, WALKS, Cluster, Walk, applied
from tests.support.manifests import ROOT, of_kind, render, templates


@pytest.mark.parametrize("strategy", WALKS)
def test_a_plan_leads_nowhere_at_no_moment(strategy: str) -> None:
    Cluster().walk(WALKS[strategy])


@pytest.mark.parametrize(
    "strategy", [name for name, walk in WALKS.items() if walk[-1][0] == "delete"]
)
def test_a_plan_ends_where_it_began(strategy: str) -> None:
    cluster, before = Cluster(), Cluster()
    before.walk(BEFORE)

    cluster.walk(WALKS[strategy])

    assert cluster.keys() == before.keys()


@pytest.mark.parametrize(
    "plan",
    [
        applied("istio/canary/1-workloads", "istio/canary/steps/10"),
        applied("istio/canary/2-subsets", "istio/canary/steps/10"),
        [*WALKS["canary"][1:7], ("delete", "istio/canary/9-remove/3-workloads")],
        [*WALKS["canary"][1:7], ("apply", "istio/canary/9-remove/2-subsets")],
        applied(
            "istio/canary/1-workloads", "istio/canary/2-subsets", "istio/canary-baseline/steps/10"
        ),
        [*WALKS["canary-baseline"][1:7], ("delete", "istio/canary-baseline/workload")],
        applied("istio/ab/1-workloads", "istio/ab/steps/on"),
        applied("istio/blue-green/2-subsets", "istio/blue-green/steps/blue"),
        applied("istio/mirror/steps/01"),
        [*WALKS["mirror"][1:4], ("delete", "istio/mirror/9-remove/2-workloads")],
        applied("istio/microservices/2-policies", "istio/microservices/steps/split"),
    ],
    ids=lambda plan: " ".join(f"{verb} {Path(where).name}" for verb, where in plan[-2:]),
)
def test_another_order_does_lead_nowhere(plan: Walk) -> None:
    with pytest.raises(AssertionError, match="leads to"):
        Cluster().walk([*BEFORE, *plan])


def test_every_numbered_directory_and_every_step_is_walked() -> None:
    walked = {directory for walk in WALKS.values() for _, directory in walk}

    for file in ISTIO.rglob("kustomization.yaml"):
        directory = file.parent
        if any(part[0].isdigit() or part == "steps" for part in directory.relative_to(ISTIO).parts):
            assert str(directory.relative_to(ROOT)) in walked


def test_the_canary_becomes_stable_by_the_same_release_in_the_other_track() -> None:
    def images_of(directory: str) -> dict[str, str]:
        return {
            owner["metadata"]["name"]: template["spec"]["containers"][0]["image"]
            for owner, template in templates(render(directory))
        }

    before, after = (images_of(f"istio/canary/{name}") for name in ("1-workloads", "4-promote"))

    assert before["kv-stable"] != before["kv-canary"]
    assert before["kv-stable"] == images_of("istio/gateway/stable")["kv-stable"]
    assert after == dict.fromkeys(("kv-stable", "kv-canary"), before["kv-canary"])
    third = images_of("istio/canary-baseline/1-workloads")
    assert third == {**before, "kv-baseline": before["kv-stable"]}


def scale_downs(directory: str) -> dict[str, str]:
    """Return the scale-down policy of each autoscaler."""
    return {
        each["metadata"]["name"]: each["spec"]["behavior"]["scaleDown"]["selectPolicy"]
        for each in of_kind(render(directory), "HorizontalPodAutoscaler")
    }


@pytest.mark.parametrize(
    ("directory", "tracks"),
    [
        ("istio/canary/1-workloads", ("stable", "canary")),
        ("istio/canary/4-promote", ("stable", "canary")),
        ("istio/canary-baseline/1-workloads", ("stable", "canary", "baseline")),
        ("istio/gateway-api/1-workloads", ("stable", "canary")),
        ("istio/blue-green/1-workloads", ("blue", "green")),
    ],
)
def test_while_the_way_back_is_open_no_autoscaler_takes_pods_away(
    directory: str, tracks: tuple[str, ...]
) -> None:
    """Otherwise an abort from 100 would overload the few remaining pods of stable."""
    assert scale_downs(directory) == {f"kv-{track}": "Disabled" for track in tracks}


@pytest.mark.parametrize(
    "strategy", ["canary", "canary-baseline", "sticky", "blue-green", "gateway-api"]
)
def test_when_a_rollout_is_over_the_autoscaler_is_free_again(strategy: str) -> None:
    """The field must be in the file: kubectl apply changes no other fields."""
    cluster = Cluster()

    cluster.walk(WALKS[strategy])

    last = {each["metadata"]["name"]: each for each in cluster.all("HorizontalPodAutoscaler")}
    assert last["kv-stable"]["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Max"
    assert scale_downs("istio/blue-green/settled") == {"kv-blue": "Max", "kv-green": "Max"}


def table_of(strategy: str) -> list[tuple[str, str, str]]:
    """Return the number, the verb and the directory of each command in a README's table."""
    return [
        (number, verb, directory)
        for number, row in re.findall(
            r"(?m)^\| (\d) \| (.*)$", (ISTIO / strategy / "README.md").read_text()
        )
        for verb, directory in re.findall(r"kubectl (apply|delete) -k ([\w/-]+)", row)
    ]


def test_the_table_of_the_canary_is_the_walk_and_numbers_its_directories() -> None:
    rows = table_of("canary")
    documented = [(verb, directory) for _, verb, directory in rows]
    walk = iter(WALKS["canary"])

    assert all(step in walk for step in documented), "not in this order"
    assert documented[0] == ("apply", "istio/canary/1-workloads")
    assert documented[-1] == ("delete", "istio/canary/9-remove/3-workloads")
    for number, _, directory in rows:
        own = Path(directory).relative_to("istio").parts[1]
        assert not own[0].isdigit() or own[0] in {number, "9"}, directory


def test_the_table_of_the_baseline_leads_back_to_the_canary() -> None:
    first = [(verb, directory) for _, verb, directory in table_of("canary-baseline")]
    rest = [(verb, directory) for number, verb, directory in table_of("canary") if number >= "4"]
    cluster, before = Cluster(), Cluster()
    before.walk(BEFORE)

    cluster.walk([*BEFORE, *first, *rest])

    assert cluster.keys() == before.keys()


def test_what_the_readmes_delete_is_none_of_what_serves() -> None:
    deleted = [
        directory
        for readme in ISTIO.rglob("README.md")
        for directory in re.findall(r"delete -k ((?:istio)/[\w/-]+)", readme.read_text())
    ]

    assert "istio/canary/9-remove/3-workloads" in deleted
    for directory in set(deleted) - {"istio/gateway/stable"}:
        for each in render(directory):
            assert not each["metadata"]["name"].startswith(("kv-stable", "kv-otel-stable"))
            assert each["metadata"]["name"] != "kv", directory
