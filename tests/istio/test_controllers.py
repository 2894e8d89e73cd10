"""Flagger and Argo Rollouts: the weights have one owner, and the checks do what they say."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from svc.telemetry.metrics import Metrics
from tests.istio.test_routes import Json, routes, weights
from tests.support.manifests import containers, is_selected, of_kind, render, templates, the
from tests.support.prometheus import need_program
from tests.support.promql import selectors
from tests.support.rule_files import FOLDER, committed_rules

FLAGGER: Final = "istio/flagger"
ARGO: Final = "istio/argo-rollouts"
#: The result of a query has no labels; promtool writes that so.
BARE: Final = "{}"


def queries() -> dict[str, str]:
    """Return each check's query with its variables replaced, by controller and name."""
    found = {
        f"flagger {each['metadata']['name']}": each["spec"]["query"]
        .replace("{{ namespace }}", "kv")
        .replace("{{ interval }}", "2m")
        for each in of_kind(render(FLAGGER), "MetricTemplate")
    }
    for each in of_kind(render(ARGO), "AnalysisTemplate"):
        [metric] = each["spec"]["metrics"]
        query = metric["provider"]["prometheus"]["query"]
        found[f"argo {each['metadata']['name']}"] = query.replace("{{args.namespace}}", "kv")
    return found


def evaluated(tmp_path: Path, query: str, series: list[Json], samples: list[Json]) -> None:
    """Let promtool check the result of a query after twenty minutes of these series."""
    file = tmp_path / "case.test.yaml"
    file.write_text(
        json.dumps(
            {
                "rule_files": [str(FOLDER / "sli.yaml")],
                "evaluation_interval": "30s",
                "tests": [
                    {
                        "interval": "15s",
                        "input_series": [
                            {
                                "series": 'kv_build_info{namespace="kv", job="kv"}',
                                "values": "1x80",
                            },
                            *series,
                        ],
                        "promql_expr_test": [
                            {"expr": query, "eval_time": "20m", "exp_samples": samples}
                        ],
                    }
                ],
            }
        )
    )
    tested = subprocess.run(
        [need_program("promtool"), "test", "rules", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def counted(track: str, status: int, each: int) -> Json:
    """Return a track's counter for a status: ``each`` requests per 15 s for twenty minutes."""
    labels = (
        f'namespace="kv", job="kv", track="{track}", version="{track}",'
        f' http_response_status_code="{status}"'
    )
    name = "http_server_request_duration_seconds_count"
    return {"series": f"{name}{{{labels}}}", "values": f"0+{each}x80"}


def timed(track: str, within: float, each: int) -> list[Json]:
    """Return a track's buckets. All requests took between ``within`` / 100 and ``within``."""
    labels = f'namespace="kv", job="kv", track="{track}", version="{track}"'
    name = "http_server_request_duration_seconds_bucket"
    return [
        {"series": f'{name}{{{labels}, le="{le}"}}', "values": f"0+{rate}x80"}
        for le, rate in ((within / 100, 0), (within, each), ("+Inf", each))
    ]


def test_a_check_reads_only_series_that_there_are() -> None:
    exported = {
        family.name + suffix
        for family in Metrics("").registry.collect()
        for suffix in ("", "_bucket", "_count", "_sum")
    }
    recorded = {rule.name for rule in committed_rules() if not rule.alert}

    for name, query in queries().items():
        for selector in selectors(query):
            assert selector.partition("{")[0] in exported | recorded, name
            assert 'namespace="kv"' in selector, name
            assert 'job="kv"' in selector, name


@pytest.mark.parametrize("owner", ["flagger", "argo"])
@pytest.mark.parametrize(
    ("canary", "stable", "value"),
    [(10, 0, 0.1), (10, 10, -0.1), (0, 0, 0), (1, 0, 0.01), (0, 5, -0.1)],
    ids=["canary fails", "both fail", "neither fails", "a hundredth fails", "stable fails"],
)
def test_errors_are_compared_with_twice_those_of_stable(
    tmp_path: Path, owner: str, canary: int, stable: int, value: float
) -> None:
    series = [counted("canary", 200, 100 - canary), counted("stable", 200, 100 - stable)]
    series += [counted("canary", 503, canary)] if canary else []
    series += [counted("stable", 503, stable)] if stable else []
    query = f"round({queries()[f'{owner} kv-errors']}, 0.001)"

    evaluated(tmp_path, query, series, [{"labels": BARE, "value": value}])


@pytest.mark.parametrize("owner", ["flagger", "argo"])
@pytest.mark.parametrize("idle", ["canary", "stable"])
@pytest.mark.parametrize("known", [True, False])
def test_errors_of_nobody_have_no_value(
    tmp_path: Path, owner: str, idle: str, *, known: bool
) -> None:
    busy = "stable" if idle == "canary" else "canary"
    series = [counted(busy, 200, 100), *([counted(idle, 200, 0)] if known else [])]

    evaluated(tmp_path, queries()[f"{owner} kv-errors"], series, [])


@pytest.mark.parametrize("owner", ["flagger", "argo"])
@pytest.mark.parametrize(
    ("canary", "stable", "passes"),
    [(0.01, 0.01, True), (0.05, 0.01, False), (0.05, 0.05, True), (0.01, 0.05, True)],
    ids=["both fast", "canary slow", "both slow", "stable slow"],
)
def test_latency_is_compared_with_that_of_stable(
    tmp_path: Path, owner: str, canary: float, stable: float, *, passes: bool
) -> None:
    series = [counted("canary", 200, 100), counted("stable", 200, 100)]
    series += [*timed("canary", canary, 100), *timed("stable", stable, 100)]
    query = f"({queries()[f'{owner} kv-latency']}) <= bool 0.005"

    evaluated(tmp_path, query, series, [{"labels": BARE, "value": int(passes)}])


def test_the_limits_are_those_of_the_alert() -> None:
    [alert] = [
        rule.expression
        for rule in committed_rules()
        if rule.name == "KVCanaryWorseThanStable" and rule.labels["signal"] == "errors"
    ]
    [canary] = of_kind(render(FLAGGER), "Canary")

    assert "2\n* sum" in alert
    assert "+ 0.005" in alert
    for metric in canary["spec"]["analysis"]["metrics"]:
        assert metric["thresholdRange"] == {"max": 0.005}
    for name in ("kv-errors", "kv-latency"):
        [metric] = the(render(ARGO), "AnalysisTemplate", name)["spec"]["metrics"]
        assert metric["failureCondition"] == "len(result) > 0 && result[0] > 0.005"


def test_flagger_alone_has_service_and_routes() -> None:
    rendered = render(FLAGGER)

    assert not of_kind(rendered, "VirtualService", "DestinationRule", "HTTPRoute")
    assert "kv" not in {each["metadata"]["name"] for each in of_kind(rendered, "Service")}


def test_flagger_finds_what_it_is_told_of() -> None:
    rendered = render(FLAGGER)
    canary = the(rendered, "Canary", "kv")["spec"]
    deployment = the(rendered, canary["targetRef"]["kind"], canary["targetRef"]["name"])
    the(rendered, canary["autoscalerRef"]["kind"], canary["autoscalerRef"]["name"])
    for gateway in canary["service"]["gateways"]:
        assert gateway == "mesh" or the(rendered, "Gateway", gateway)
    for metric in canary["analysis"]["metrics"]:
        the(rendered, "MetricTemplate", metric["templateRef"]["name"])

    # Flagger changes one of these labels in the primary.
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "kv"}}
    [container] = containers(deployment["spec"]["template"])
    assert canary["service"]["targetPort"] in {port["name"] for port in container["ports"]}
    assert canary["service"]["retries"] == {"attempts": 0}
    shares = canary["analysis"]["stepWeights"]
    assert shares == sorted(shares)
    assert shares[-1] <= 100


@pytest.mark.parametrize(("app", "track"), [("kv", "canary"), ("kv-primary", "stable")])
def test_metrics_tell_flaggers_primary_by_its_app(app: str, track: str) -> None:
    [monitor] = of_kind(render(FLAGGER), "PodMonitor")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]

    found = "stable"
    for step in endpoint["relabelings"]:
        if step.get("sourceLabels") == ["__meta_kubernetes_pod_label_app"] and step["regex"] == app:
            assert step["targetLabel"] == "track"
            found = step["replacement"]

    assert found == track


def test_a_disruption_takes_one_of_flaggers_primary_pods_at_a_time() -> None:
    rendered = render(FLAGGER)
    [budget] = of_kind(rendered, "PodDisruptionBudget")
    deployment = the(rendered, "Deployment", "kv")
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert budget["spec"]["maxUnavailable"] == 1
    assert is_selected(labels | {"app": "kv-primary"}, budget["spec"]["selector"])
    # Usually the canary has no pods.
    assert not is_selected(labels, budget["spec"]["selector"])


def test_flaggers_pods_do_not_all_call_themselves_stable() -> None:
    deployment = the(render(FLAGGER), "Deployment", "kv")
    [container] = containers(deployment["spec"]["template"])
    fields = {each["name"]: each.get("valueFrom") for each in container["env"]}

    assert fields["KV_TRACK"] == {"fieldRef": {"fieldPath": "metadata.labels['app']"}}


def test_argo_moves_the_weights_of_every_route() -> None:
    rendered = render(ARGO)
    istio = the(rendered, "Rollout", "kv")["spec"]["strategy"]["canary"]["trafficRouting"]["istio"]
    rule = the(rendered, "DestinationRule", istio["destinationRule"]["name"])
    the(rendered, "VirtualService", istio["virtualService"]["name"])
    tracks = [istio["destinationRule"][f"{track}SubsetName"] for track in ("stable", "canary")]

    assert istio["virtualService"]["routes"] == [route["name"] for route in routes(ARGO)]
    for route in routes(ARGO):
        # The controller accepts exactly these two destinations.
        assert weights(route) == {tracks[0]: 100, tracks[1]: 0}
    assert [subset["name"] for subset in rule["spec"]["subsets"]] == tracks


def test_argos_subsets_ask_for_no_label_that_it_changes() -> None:
    rendered = render(ARGO)
    canary = the(rendered, "Rollout", "kv")["spec"]["strategy"]["canary"]
    changed = {*canary["canaryMetadata"]["labels"], *canary["stableMetadata"]["labels"]}
    [(_, template)] = [each for each in templates(rendered) if each[0]["kind"] == "Deployment"]

    for subset in the(rendered, "DestinationRule", "kv")["spec"]["subsets"]:
        assert not changed & subset["labels"].keys()
        assert is_selected(template["metadata"]["labels"], subset["labels"])


def test_argo_has_the_pods_and_the_deployment_is_its_template() -> None:
    rendered = render(ARGO)
    rollout = the(rendered, "Rollout", "kv")["spec"]
    deployment = the(rendered, rollout["workloadRef"]["kind"], rollout["workloadRef"]["name"])
    [scaler] = of_kind(rendered, "HorizontalPodAutoscaler")

    assert "template" not in rollout
    assert "replicas" not in rollout
    assert deployment["spec"]["replicas"] == 0
    assert scaler["spec"]["scaleTargetRef"]["kind"] == "Rollout"
    assert rollout["selector"] == deployment["spec"]["selector"]


def test_argos_analyses_exist_and_get_what_they_need() -> None:
    rendered = render(ARGO)
    canary = the(rendered, "Rollout", "kv")["spec"]["strategy"]["canary"]
    analyses = [
        canary["analysis"],
        *(step["analysis"] for step in canary["steps"] if "analysis" in step),
    ]
    shares = [step["setWeight"] for step in canary["steps"] if "setWeight" in step]

    for analysis in analyses:
        given = {each["name"] for each in analysis["args"]}
        for used in analysis["templates"]:
            template: Any = the(rendered, "AnalysisTemplate", used["templateName"])
            assert {each["name"] for each in template["spec"]["args"]} <= given
    assert shares == sorted(shares)
    # No canary is promoted without a person.
    assert canary["steps"][-1] == {"pause": {}}


def test_argo_cannot_continue_a_rollout_that_nothing_was_measured_of() -> None:
    rendered = render(ARGO)
    canary = the(rendered, "Rollout", "kv")["spec"]["strategy"]["canary"]

    # The end of a timed pause also ends the pause of an inconclusive analysis.
    assert not [step for step in canary["steps"] if "duration" in step.get("pause", {})]
    for used in canary["analysis"]["templates"]:
        [metric] = the(rendered, "AnalysisTemplate", used["templateName"])["spec"]["metrics"]
        # With one condition only, a measurement is never inconclusive.
        assert "successCondition" not in metric
        assert metric["failureCondition"]
    for weight, after in pairwise(canary["steps"]):
        if "setWeight" in weight:
            [used] = after["analysis"]["templates"]
            [metric] = the(rendered, "AnalysisTemplate", used["templateName"])["spec"]["metrics"]
            # No value is neither success nor failure, and more than none is too many.
            assert metric["successCondition"].startswith("len(result) > 0 && ")
            assert metric["failureCondition"] == "false"
            assert "inconclusiveLimit" not in metric
            # Without a count, the analysis never ends.
            assert metric["count"] == 1


@pytest.mark.parametrize(
    ("canary", "stable", "value"),
    [(10, 100, 200), (10, 0, None), (10, None, None), (None, 100, None), (0, 100, 0)],
)
def test_argo_counts_the_requests_of_the_canary_where_stable_had_some(
    tmp_path: Path, canary: int | None, stable: int | None, value: int | None
) -> None:
    series = [
        counted(track, 200, each)
        for track, each in (("canary", canary), ("stable", stable))
        if each is not None
    ]
    expected = [] if value is None else [{"labels": BARE, "value": value}]

    evaluated(tmp_path, f"round({queries()['argo kv-requests']})", series, expected)


def test_the_weights_in_git_are_those_of_rest() -> None:
    assert routes(ARGO) == routes("istio/canary/steps/00")
