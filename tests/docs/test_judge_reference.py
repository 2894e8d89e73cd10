"""The reference of the judge has a row for each key, path, field, verdict, gate and series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.judge.comparison import Clocks, Comparison
from rollout.judge.comparisons import Comparisons, Limits
from rollout.judge.definition import (
    ComparisonSpec,
    JudgeFile,
    NamedComparison,
    RequestedComparison,
    parse_definition,
    parse_judge_file,
)
from rollout.judge.metrics import ComparisonCollector
from rollout.judge.server import build_app
from rollout.judge.verdict import VERDICTS, Gate
from tests.docs.pages import ROOT
from tests.docs.test_rollout_reference import first_cells, plan_keys, rows_of

PAGE = "judge.md"
HOW_TO = ROOT / "docs" / "how-to" / "judge-other-controllers.md"
LABEL = {"name": "track", "stable": "a", "canary": "b"}


def comparison() -> Comparison:
    source = {"counters": {"total": "x", "bad": "y", "label": LABEL}}
    spec = parse_definition(ComparisonSpec, {"source": source})
    return Comparison(spec, "", Clocks(lambda: 0.0, lambda: 0.0))


def words(cells: set[str]) -> set[str]:
    return {word for cell in cells for word in cell.split("`")[1::2]}


def test_every_key_has_a_row() -> None:
    shown = words(first_cells(PAGE, "Definition"))
    file = {key for key in plan_keys(JudgeFile) if key.count(".") <= 1}
    known = {
        "prometheus",
        *(f"comparisons[].{name}" for name in NamedComparison.__annotations__),
        *(key for key in ComparisonSpec.model_fields),
        *RequestedComparison.__annotations__,
        *(f"source.{each}" for each in ("istio", "app", "counters")),
        *(f"source.counters.{each}" for each in ("total", "bad", "good")),
        "source.*.label",
    }

    assert shown == known
    assert {"comparisons[].name", "comparisons[].prometheus"} <= file


def test_every_path_has_a_row(tmp_path: Path) -> None:
    clocks = Clocks(lambda: 0.0, lambda: 0.0)
    app = build_app(Comparisons({}, None, tmp_path, Limits(), clocks))
    requests = words(first_cells(PAGE, "Requests"))
    shown = {
        (method, path)
        for request in requests
        if " " in request
        for methods, path in [request.replace("\\", "").split()]
        for method in methods.split("|")
    }

    served = {
        (route.method, route.resource.canonical.replace("{name}", "NAME").replace("{gate}", "GATE"))
        for route in app.router.routes()
        if route.resource and route.method != "HEAD"
    }

    assert shown == served


def test_every_field_and_every_verdict_has_a_row() -> None:
    answer = comparison().describe("kv")

    assert words(first_cells(PAGE, "Answer")) == set(answer)
    assert words(first_cells(PAGE, "Verdicts")) == {each.value for each in VERDICTS}
    assert {gate.value for gate in Gate} <= words(first_cells(PAGE, "Requests"))


def test_every_series_has_a_row_with_its_label() -> None:
    families = list(ComparisonCollector([("kv", comparison())]).collect())
    rows = {row[0].strip("`"): row for row in rows_of(PAGE, "Metrics")}
    del rows["Series"]

    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        row = rows.pop(name)
        assert row[2] == family.type
        for sample in family.samples:
            assert [each for each in sample.labels if f"`{each}`" not in row[1]] == ["comparison"]

    assert rows == {}


def blocks() -> list[Any]:
    """Return the YAML of the how-to page."""
    parts = HOW_TO.read_text().split("```yaml\n")[1:]
    return [yaml.safe_load(part.partition("```")[0]) for part in parts]


def test_the_files_that_are_shown_are_those_that_are_shipped() -> None:
    shipped = (ROOT / "istio" / "judge" / "judge.yaml").read_text()
    file, flagger, argo, kargo = blocks()

    assert file == yaml.safe_load(shipped)
    assert parse_judge_file(shipped, "judge.yaml").comparisons[0].name == "kv"
    recipe = yaml.safe_load((ROOT / "istio/judge/flagger/kustomization.yaml").read_text())
    patch = {each["path"]: each["value"] for each in yaml.safe_load(recipe["patches"][0]["patch"])}
    for name in ("interval", "metrics", "webhooks"):
        assert flagger["analysis"][name] == patch[f"/spec/analysis/{name}"]
    templates = yaml.safe_load_all(
        (ROOT / "istio/judge/argo-rollouts/analysistemplates.yaml").read_text()
    )
    task = yaml.safe_load((ROOT / "istio/judge/kargo/promotiontask.yaml").read_text())
    assert kargo == task["spec"]["steps"]
    assert argo["metrics"] in [each["spec"]["metrics"] for each in templates]


@pytest.mark.parametrize("name", ["successExpression", "failureExpression"])
def test_the_step_of_kargo_reads_fields_that_are_answered(name: str) -> None:
    [step] = blocks()[3]
    answer = comparison().describe("kv")

    status, _, path = step["config"][name].partition(" && ")

    assert status == "response.status == 200"
    root, body, *fields = path.split(".")
    assert (root, body) == ("response", "body")
    found: Any = answer
    for field in fields:
        found = found[field]
    assert found is False
    assert answer[step["config"]["outputs"][0]["fromExpression"].rpartition(".")[2]]
