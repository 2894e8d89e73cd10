"""The Prometheus rules pass their unit tests, and everything that they name exists."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from svc.stores.link import Lost, Unsent
from svc.telemetry import metrics as pages
from svc.telemetry.metrics import Metrics
from svc.telemetry.store_meter import KNOWN_REFUSALS
from tests.support.dashboards import panels
from tests.support.prometheus import need_program
from tests.support.promql import selectors
from tests.support.rule_files import FOLDER, read_groups, rule_paths
from tests.support.services import ROOT

Json = dict[str, Any]

RUNBOOK: Final = ROOT / "grafana" / "RUNBOOK.md"
UNIT_TESTS: Final = sorted(FOLDER.glob("*.test.yaml"))
RULES: Final[list[Json]] = [
    rule for path in rule_paths() for group in read_groups(path) for rule in group["rules"]
]
ALERTS: Final[list[Json]] = [rule for rule in RULES if "alert" in rule]

#: Series of Prometheus, of the mesh and of tallykv-rollout.
ELSEWHERE: Final = {"up", "istio_requests_total", "kv_rollout_weight_ratio"}
#: The paragraphs of a section of the runbook, in this order.
PARTS: Final = ["Means", "Users see", "Look first", "Likely causes", "Do", "Verify"]


def name_of(value: Any) -> str:
    return value.name if isinstance(value, Path) else str(value["alert"])


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [need_program("promtool"), *arguments], capture_output=True, text=True, check=False
    )


def exported() -> dict[str, str]:
    """Return the names and types of all series that the service exports."""
    metrics = Metrics("")
    metrics.watch_lifecycle(active=lambda: 0, ready=bool, draining=bool)
    metrics.watch_connections(lambda: (0, 0, 0))
    metrics.watch_certificate(float)
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return {
        family.name + suffix: family.type
        for family in metrics.registry.collect()
        for suffix in suffixes.get(family.type, [""])
    }


@cache
def shown() -> frozenset[str]:
    """Return every panel as the alerts' annotations name it."""
    dashboards = [
        json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").glob("*.json")
    ]
    return frozenset(
        f"{each['title']} > {panel['title']}" for each in dashboards for panel in panels(each)
    )


def anchors(markdown: str) -> list[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", markdown, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@cache
def unit_tests() -> list[Json]:
    """Return all of them, read once: many tests ask."""
    return [test for path in UNIT_TESTS for test in yaml.safe_load(path.read_text())["tests"]]


@pytest.mark.parametrize("path", rule_paths(), ids=name_of)
def test_prometheus_takes_the_rules(path: Path) -> None:
    checked = promtool("check", "rules", path)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", UNIT_TESTS, ids=name_of)
def test_the_rules_do_what_their_tests_say(path: Path) -> None:
    tested = promtool("test", "rules", path)

    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("path", rule_paths(), ids=name_of)
def test_a_rule_file_is_also_what_a_prometheus_rule_holds(path: Path) -> None:
    assert set(yaml.safe_load(path.read_text())) == {"groups"}
    for group in read_groups(path):
        assert set(group) == {"name", "interval", "rules"}
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "record", "expr", "for", "labels", "annotations"}


def test_a_series_is_recorded_once_and_a_group_has_a_name_of_its_own() -> None:
    groups = [group["name"] for path in rule_paths() for group in read_groups(path)]
    kept = [
        (rule.get("alert") or rule["record"], sorted(rule.get("labels", {}).items()))
        for rule in RULES
    ]

    assert len(set(groups)) == len(groups)
    assert [each for each in kept if kept.count(each) > 1] == []


def test_every_series_a_rule_reads_is_exported_or_recorded() -> None:
    known = exported().keys() | {rule.get("record") for rule in RULES} | ELSEWHERE

    read = {
        selector.partition("{")[0] for rule in RULES for selector in selectors(str(rule["expr"]))
    }

    assert read - known == set()


def test_every_series_of_a_unit_test_is_one_that_can_be() -> None:
    given = {
        series["series"].partition("{")[0]
        for test in unit_tests()
        for series in test["input_series"]
    }

    assert given - exported().keys() - ELSEWHERE == set()


def test_every_bound_a_rule_asks_for_is_a_buckets() -> None:
    bounds = {
        "http_server_request_duration_seconds_bucket": pages.REQUEST_BOUNDS,
        "kv_event_loop_lag_seconds_bucket": pages.LAG_BOUNDS,
    }
    asked = {
        (found[1], float(found[2]))
        for rule in RULES
        for found in re.finditer(r'(\w+_bucket)\{le="([^"]+)"\}', str(rule["expr"]))
    }

    assert {name for name, _ in asked} == set(bounds)
    assert [(name, bound) for name, bound in asked if bound not in bounds[name]] == []


def test_every_error_of_redis_that_pages_is_one_that_is_counted() -> None:
    (expression,) = [str(rule["expr"]) for rule in ALERTS if rule["alert"] == "KVRedisDown"]
    (named,) = re.findall(r'error_type=~"([^"]*)"', expression)

    assert set(named.split("|")) <= KNOWN_REFUSALS | {
        failure.__name__.lower() for failure in (Unsent, Lost)
    }


def test_no_rule_names_a_namespace_or_a_job() -> None:
    named = re.compile(r'\b(?:namespace|job)\s*(?:=~|!~|!=|=)\s*"')

    assert [rule for rule in RULES if named.search(str(rule["expr"]))] == []


def test_a_sum_of_samples_is_counted_by_the_interval_they_have() -> None:
    """Slow burn alerts multiply a sum of samples by 30, the interval of the group in seconds."""
    (interval,) = {
        group["interval"]
        for path in rule_paths()
        for group in read_groups(path)
        for rule in group["rules"]
        if rule.get("record") == "slo:sli_bad_requests:rate5m"
    }
    factors = {
        factor
        for rule in RULES
        for factor in re.findall(r"sum_over_time\(\S+\) \* (\d+)", str(rule["expr"]))
    }

    assert {f"{factor}s" for factor in factors} == {interval}


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_an_alert_says_how_bad_it_is_and_what_is_wrong_where(alert: Json) -> None:
    annotations = alert["annotations"]

    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(annotations) == {"summary", "description", "panel", "runbook_url"}
    assert "$labels.namespace" in annotations["summary"]
    assert annotations["description"].endswith((".", "}}"))


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_an_alert_leads_to_its_section_of_the_runbook(alert: Json) -> None:
    anchor = alert["alert"].lower()

    assert alert["annotations"]["runbook_url"] == f"grafana/RUNBOOK.md#{anchor}"
    assert anchors(RUNBOOK.read_text()).count(anchor) == 1


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_an_alert_leads_to_a_panel_that_exists(alert: Json) -> None:
    assert alert["annotations"]["panel"] in shown()


@pytest.mark.parametrize("name", sorted({alert["alert"] for alert in ALERTS}))
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(name: str) -> None:
    cases = [
        case
        for test in unit_tests()
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == name
    ]

    assert any(case.get("exp_alerts") for case in cases)
    assert any(not case.get("exp_alerts") for case in cases)


def test_every_branch_of_an_alert_fires_somewhere_with_its_text() -> None:
    """The rules of one alert differ by labels. Each text is in a unit test."""
    fired = [
        {"alertname": case["alertname"], **expected["exp_labels"]}
        for test in unit_tests()
        for case in test.get("alert_rule_test", [])
        for expected in case.get("exp_alerts", [])
        if expected["exp_annotations"]["summary"]
    ]

    for alert in ALERTS:
        wanted = {"alertname": alert["alert"], **alert["labels"]}
        assert any(wanted.items() <= each.items() for each in fired), wanted


def test_the_runbook_has_a_full_section_and_a_row_for_every_alert_and_no_other() -> None:
    names = {alert["alert"] for alert in ALERTS}
    severities = {(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS}
    text = RUNBOOK.read_text()
    sections = dict(re.findall(r"^## (KV\w+)\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL))

    assert set(sections) == names
    for name, section in sections.items():
        assert re.findall(r"^\*\*([\w ]+)\.\*\*", section, re.MULTILINE) == PARTS, name
    assert set(re.findall(r"^\| \[(KV\w+)\]\(\S+\) \| (\w+) \|", text, re.MULTILINE)) == severities


def test_every_panel_the_runbook_names_exists() -> None:
    named = re.findall(r"\*(Service|Rollout) / ([^*]+)\*", RUNBOOK.read_text())

    assert named
    missing = {f"tallykv / {dashboard} > {panel}" for dashboard, panel in named} - shown()
    assert missing == set()


def test_every_link_within_the_runbook_leads_somewhere() -> None:
    text = RUNBOOK.read_text()

    assert set(re.findall(r"\]\(#([^)]+)\)", text)) - set(anchors(text)) == set()
