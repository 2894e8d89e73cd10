"""The dashboards match their code, and query metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest

from grafana.build import FOLDER, build_all, stale
from svc.telemetry.metrics import Metrics
from tests.support.dashboards import Json, expressions, marks, panels, rows
from tests.support.prometheus import need_program
from tests.support.promql import selectors
from tests.support.rule_files import rule_paths

DASHBOARDS: Final = {name: json.loads((FOLDER / name).read_text()) for name in build_all()}

#: Series that Prometheus itself creates for targets and alerts.
OF_PROMETHEUS: Final = {"up", "scrape_samples_scraped", "ALERTS"}
OF_THE_MESH: Final = {"istio_requests_total"}
OF_THE_ROLLOUT: Final = {"kv_rollout_weight_ratio"}
ELSEWHERE: Final = OF_PROMETHEUS | OF_THE_MESH | OF_THE_ROLLOUT
#: Labels that a scrape adds to every series of the service.
TARGET_LABELS: Final = {"namespace", "job", "pod", "track", "version"}

KINDS: Final = {"timeseries", "stat", "heatmap", "table"}
#: Ids of Grafana's units. Grafana would show any other text as a suffix.
UNITS: Final = {"reqps", "ops", "cps", "s", "percentunit", "bytes", "short", "dateTimeAsIso"}
OWN_SCOPE: Final = ('namespace=~"$namespace"', 'job=~"$job"')


def every_panel() -> list[Any]:
    return [
        pytest.param(panel, id=f"{name}: {panel['title']}")
        for name, dashboard in DASHBOARDS.items()
        for panel in panels(dashboard)
    ]


def every_dashboard() -> list[Any]:
    return [pytest.param(dashboard, id=name) for name, dashboard in DASHBOARDS.items()]


def metric(selector: str) -> str:
    return selector.partition("{")[0]


def expressions_of(panel: Json) -> list[str]:
    """Return the expressions of a panel."""
    return [target["expr"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def exported() -> dict[str, str]:
    """Names and types of all series that the service exports."""
    metrics = Metrics("")
    metrics.watch_lifecycle(active=lambda: 0, ready=bool, draining=bool)
    metrics.watch_connections(lambda: (0, 0, 0))
    metrics.watch_budget(lambda: 0)
    metrics.watch_watchers(lambda: 0)
    metrics.watch_certificate(float)
    metrics.watch_tokens(int, bool)
    names: dict[str, str] = {}
    for family in metrics.registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
        for suffix in suffixes.get(family.type, [""]):
            names[family.name + suffix] = family.type
    return names


@pytest.fixture(scope="module")
def recorded() -> set[str]:
    """Names of all recorded series."""
    text = "\n".join(path.read_text() for path in rule_paths())
    return set(re.findall(r"^\s*-?\s*record:\s*(\S+)", text, re.MULTILINE))


def test_the_files_are_what_the_code_says() -> None:
    assert stale() == [], "run python -m grafana.build"


def test_a_file_out_of_step_is_named(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text("{}")
    (tmp_path / "old.json").write_text("{}")

    assert stale(tmp_path) == ["old.json", "rollout.json", "service.json"]


def test_addresses_of_dashboards_stay() -> None:
    uids = {name: dashboard["uid"] for name, dashboard in DASHBOARDS.items()}

    assert uids == {"service.json": "tallykv-service", "rollout.json": "tallykv-rollout"}


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_a_dashboard_fits_into_an_annotation_as_kubectl_apply_makes_one(dashboard: Json) -> None:
    assert len(json.dumps(dashboard, indent=2).encode()) < 250_000


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_ids_and_titles_are_given_once(dashboard: Json) -> None:
    shown = [*rows(dashboard), *panels(dashboard)]
    ids = [panel["id"] for panel in shown]
    titles = [panel["title"] for panel in shown]

    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    assert all(0 < number < 2**31 for number in ids)


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_panels_lie_side_by_side(dashboard: Json) -> None:
    places = [panel["gridPos"] for panel in (*rows(dashboard), *panels(dashboard))]

    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or apart, (one, other)


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_a_row_asks_a_question_and_has_panels_that_fill_its_lines(dashboard: Json) -> None:
    lines: dict[int, int] = {}
    for panel in panels(dashboard):
        place = panel["gridPos"]
        lines[place["y"]] = lines.get(place["y"], 0) + place["w"]

    assert all(row["title"].endswith("?") for row in rows(dashboard))
    assert set(lines.values()) == {24}


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_what_to_look_at_is_chosen_not_written_down(dashboard: Json) -> None:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}

    assert variables["datasource"]["query"] == "prometheus"
    for name in ("namespace", "job"):
        variable = variables[name]
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["query"]["query"].startswith("label_values(kv_build_info")
        assert variable["multi"]
        assert variable["includeAll"]
        assert "allValue" not in variable, "process_ metrics of other services would count"
        assert variable["refresh"] == 2, "looked up anew when the time range moves"
    assert not dashboard["editable"], "changes would be lost: the code is what is kept"


@pytest.mark.parametrize("panel", every_panel())
def test_a_panel_says_what_it_shows_and_in_what(panel: Json) -> None:
    assert panel["type"] in KINDS
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]


@pytest.mark.parametrize("panel", every_panel())
def test_a_panel_asks_the_chosen_data_source(panel: Json) -> None:
    for asking in (panel, *panel["targets"]):
        assert asking["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    letters = [target["refId"] for target in panel["targets"]]
    assert letters == sorted(set(letters))


@pytest.mark.parametrize("panel", every_panel())
def test_ranges_follow_the_time_range_and_the_scrape_interval(panel: Json) -> None:
    for expression in expressions_of(panel):
        assert set(re.findall(r"\[([^\]]*)\]", expression)) <= {"$__rate_interval"}


@pytest.mark.parametrize("panel", every_panel())
def test_a_counter_is_read_by_its_growth_and_added_up(
    panel: Json, exported: dict[str, str]
) -> None:
    growing = {name for name, kind in exported.items() if kind in {"counter", "histogram"}}
    summed = re.compile(r"\b(?:sum|avg)(?: by \([^)]*\) )?\($")

    for expression in expressions_of(panel):
        for found in re.finditer(r"(?:rate\()?\b([a-z_]+)\{", expression):
            if found[1] in growing | OF_THE_MESH:
                assert found[0].startswith("rate("), found[0]
                before = expression[: found.start()]
                assert summed.search(before), before


@pytest.mark.parametrize("panel", every_panel())
def test_no_namespace_and_no_job_is_written_down(panel: Json) -> None:
    matcher = re.compile(r'\b(\w*namespace|job)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')

    for expression in expressions_of(panel):
        for label, value in matcher.findall(expression):
            assert value.rstrip("|") == ("$job" if label == "job" else "$namespace")


@pytest.mark.parametrize("panel", every_panel())
def test_the_services_own_series_are_those_chosen(panel: Json, exported: dict[str, str]) -> None:
    for expression in expressions_of(panel):
        for selector in selectors(expression):
            if metric(selector) in exported:
                assert all(scope in selector for scope in OWN_SCOPE), selector


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_every_metric_queried_exists(
    dashboard: Json, exported: dict[str, str], recorded: set[str]
) -> None:
    for title, expression in [*expressions(dashboard), *marks(dashboard)]:
        for selector in selectors(expression):
            assert metric(selector) in exported.keys() | recorded | ELSEWHERE, title


def test_every_metric_of_the_service_is_shown_somewhere(exported: dict[str, str]) -> None:
    queried = {
        metric(selector)
        for dashboard in DASHBOARDS.values()
        for _, expression in expressions(dashboard)
        for selector in selectors(expression)
    }
    own = {name for name in exported if name.startswith(("kv_", "http_", "db_"))}
    # A panel shows a histogram by its buckets or its count. A mean needs its sum, too.
    silent = {name for name in own - queried if not name.endswith(("_sum", "_count"))}

    assert silent == set()


@pytest.mark.parametrize("panel", every_panel())
def test_a_legend_names_labels_that_the_query_keeps(panel: Json) -> None:
    for target in panel["targets"]:
        kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))

        assert named <= kept, target["expr"]
        if panel["type"] not in {"heatmap", "table"} and len(panel["targets"]) > 1:
            assert target["legendFormat"], "which of the lines is which"


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_labels_kept_are_labels_that_exist(dashboard: Json) -> None:
    metrics = Metrics("")
    metrics.watch_connections(lambda: (0, 0, 0))
    metrics.watch_budget(lambda: 0)
    metrics.watch_watchers(lambda: 0)
    own = {label for each in metrics._instruments._instruments for label in vars(each)["labels"]}
    known = own | TARGET_LABELS | {"le", "generation", "slo", "alertname", "severity"}
    known |= {"destination_version", "response_flags"}

    for title, expression in [*expressions(dashboard), *marks(dashboard)]:
        lists = re.findall(r"(?:by|on|group_left) \(([^)]*)\)", expression)
        assert set(re.findall(r"\w+", " ".join(lists))) <= known, title


@pytest.mark.parametrize("dashboard", every_dashboard())
def test_every_expression_parses(dashboard: Json, tmp_path: Path) -> None:
    promtool = need_program("promtool")
    rules = [
        {"record": f"check:{number}", "expr": expression}
        for number, (_, expression) in enumerate([*expressions(dashboard), *marks(dashboard)])
    ]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "check", "rules": rules}]}))

    checked = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_a_click_leads_to_logs_and_traces() -> None:
    for dashboard in DASHBOARDS.values():
        links = {link["title"]: link for link in dashboard["links"]}

        assert links["Logs"]["url"].startswith("/explore?")
        for name in ("Logs", "Traces in Jaeger", "Traces in Tempo"):
            assert "${__from}" in links[name]["url"]
        assert links["tallykv"]["keepTime"]
        assert links["tallykv"]["includeVars"]
