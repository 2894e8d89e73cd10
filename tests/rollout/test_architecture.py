"""``rollout`` and ``svc`` know nothing of each other; the models and rules touch nothing."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from tests.test_architecture import imported

ROOT: Final = Path(__file__).parents[2]
ROLLOUT: Final = ROOT / "rollout"
MODULES: Final = sorted(ROLLOUT.rglob("*.py"))
#: Folders and modules that compute and touch nothing.
PURE_PLACES: Final = (
    "cluster/route_patch.py",
    "envoy",
    "evidence",
    "lint/context.py",
    "lint/destinations.py",
    "lint/findings.py",
    "lint/linter.py",
    "lint/progressive_delivery.py",
    "lint/reachability.py",
    "lint/rendering.py",
    "lint/resource.py",
    "lint/rule.py",
    "lint/rules",
    "lint/yaml_documents.py",
    "manifests",
    "plan/arms.py",
    "plan/model.py",
    "plan/plan_file.py",
    "plan/weights.py",
    "prometheus/aggregation.py",
    "prometheus/promql.py",
    "prometheus/query.py",
    "prometheus/response.py",
    "rehearsal/confirmation.py",
    "rehearsal/ingress.py",
    "rehearsal/environment.py",
    "rehearsal/envoy_log.py",
    "rehearsal/objects.py",
    "rehearsal/pods.py",
    "rehearsal/tally.py",
    "report/binning.py",
    "report/charts.py",
    "report/drawing.py",
    "report/figures.py",
    "report/html.py",
    "report/json_report.py",
    "report/markup.py",
    "report/samples.py",
    "report/scales.py",
    "report/style.py",
    "report/terminal_view.py",
    "report/timeline.py",
    "runner/decisions.py",
    "runner/reasons.py",
    "runner/status.py",
)
PURE: Final = [
    path for path in MODULES if any(path.is_relative_to(ROLLOUT / place) for place in PURE_PLACES)
]
#: Files, processes, the network, the clock, chance.
WORLD: Final = frozenset(
    {
        "asyncio",
        "http",
        "io",
        "os",
        "random",
        "shutil",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib",
    }
)
CLOCK: Final = re.compile(r"\.(?:now|utcnow|today)\(")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_knows_the_service_or_the_tests(path: Path) -> None:
    tops = {name.partition(".")[0] for name in imported(path)}

    assert not tops & {"svc", "tests", "loadtest", "bench", "grafana", "kustomize"}


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_a_pure_module_touches_nothing(path: Path) -> None:
    names = imported(path)

    assert not {name.partition(".")[0] for name in names} & WORLD
    assert "pathlib.Path" not in names
    assert not CLOCK.search(path.read_text())


@pytest.mark.parametrize("path", [each for each in PURE if "manifests" in each.parts], ids=name_of)
def test_the_models_know_nothing_of_the_linter(path: Path) -> None:
    assert not {name for name in imported(path) if name.startswith("rollout.lint")}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text()))

    assert doc
    assert len(doc.splitlines()[0]) <= 100
