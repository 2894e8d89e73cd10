"""What Argo Rollouts asks with the templates of istio/judge/argo-rollouts is answered as it needs.

The provider ``web`` sends GET. Another status than 2xx is an error, which is measured again and is
no success; so is a body without the JSON path. With a condition for success only, what does not
meet it fails, and the other way round. (argoproj/argo-rollouts: metricproviders/webmetric,
utils/evaluate, analysis/analysis.go)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.rollout.judge.judge_process import Judge, Service, config
from tests.support.manifests import of_kind, render, the
from tests.support.ports import free_port

RECIPE: Final = "istio/judge/argo-rollouts"


def measure(judge: Judge, template: str, run: str = "6d8f5c") -> str:
    """Measure once as the controller does; return the phase of the measurement."""
    [metric] = the(render(RECIPE), "AnalysisTemplate", template)["spec"]["metrics"]
    web = metric["provider"]["web"]
    url = web["url"].replace("{{args.run}}", run)
    host, _, path = url.removeprefix("http://").partition("/")
    assert host == "tallykv-judge.kv:9280"
    answer = judge.get(f"/{path}")
    if not 200 <= answer.status < 300:
        return "Error"
    result = answer.json[web["jsonPath"].removeprefix("{$.").removesuffix("}")]
    succeeds, fails = (
        None if name not in metric else is_met(metric[name], result)
        for name in ("successCondition", "failureCondition")
    )
    if fails or (fails is None and not succeeds):
        return "Failed"
    return "Successful" if succeeds or succeeds is None else "Inconclusive"


def is_met(condition: str, result: Any) -> bool:
    """Evaluate ``result == true`` or ``result.NAME == true``."""
    path, operator, value = condition.split()
    root, *fields = path.split(".")
    assert (root, operator, value) == ("result", "==", "true")
    for name in fields:
        result = result[name]
    return result is True


def begin(judge: Judge, service: Service) -> None:
    service.serve("stable", 1000)
    # What a pod has counted before it is first seen may be from long ago.
    service.serve("canary", 0)
    service.wait_scraped()
    assert measure(judge, "kv-worse") == "Successful"
    judge.until_read("kv")


def test_a_harmless_canary_passes_each_analysis_once_it_is_measured(
    judge: Judge, service: Service
) -> None:
    begin(judge, service)
    assert measure(judge, "kv-advance") == "Error"

    service.serve("canary", 100)
    service.serve("stable", 900, 1)
    judge.until_counted("kv", stable=900, canary=100)
    assert measure(judge, "kv-worse") == "Successful"
    assert measure(judge, "kv-advance") == "Successful"
    assert measure(judge, "kv-promote") == "Error"

    service.serve("canary", 500)
    service.serve("stable", 500)
    judge.until_counted("kv", stable=1400, canary=600)
    assert measure(judge, "kv-promote") == "Successful"


def test_a_harmful_canary_fails_in_the_background_and_passes_nothing(
    judge: Judge, service: Service
) -> None:
    begin(judge, service)

    judge.until_verdict("kv", "harm", service.serve_badly)

    assert measure(judge, "kv-worse") == "Failed"
    assert measure(judge, "kv-advance") == "Error"
    assert measure(judge, "kv-promote") == "Error"


def test_without_requests_nothing_succeeds_but_the_watch(judge: Judge, service: Service) -> None:
    begin(judge, service)
    service.serve("stable", 500)
    judge.until_counted("kv", stable=500)

    assert measure(judge, "kv-worse") == "Successful"
    assert measure(judge, "kv-advance") == "Error"
    assert measure(judge, "kv-promote") == "Error"


def test_without_prometheus_nothing_succeeds_but_the_watch(
    start: Callable[..., Judge], tmp_path: Path, service: Service
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    judge = start("--config", config(tmp_path, service, prometheus=away))

    assert measure(judge, "kv-worse") == "Successful"
    assert measure(judge, "kv-advance") == "Error"
    assert measure(judge, "kv-promote") == "Error"


def test_another_release_needs_evidence_of_its_own(judge: Judge, service: Service) -> None:
    begin(judge, service)
    service.serve("canary", 600)
    service.serve("stable", 400)
    judge.until_counted("kv", stable=400, canary=600)
    assert measure(judge, "kv-promote") == "Successful"

    assert measure(judge, "kv-promote", run="7f9b1c") == "Error"


def test_each_weight_has_an_analysis_and_the_last_one_proves() -> None:
    rendered = render(RECIPE)
    canary = the(rendered, "Rollout", "kv")["spec"]["strategy"]["canary"]
    used = []
    for step, after in pairwise(canary["steps"]):
        if "setWeight" in step:
            [template] = after["analysis"]["templates"]
            used.append(template["templateName"])
    every = [canary["analysis"], *(each["analysis"] for each in canary["steps"][1::2])]

    assert used == [*["kv-advance"] * 4, "kv-promote"]
    assert not [step for step in canary["steps"] if "pause" in step]
    assert [each["args"] for each in every] == [
        [{"name": "run", "valueFrom": {"podTemplateHashValue": "Latest"}}]
    ] * len(every)
    assert {each["metadata"]["name"] for each in of_kind(rendered, "AnalysisTemplate")} == {
        "kv-worse",
        *used,
    }


def test_an_analysis_between_steps_ends_with_its_first_success() -> None:
    rendered = render(RECIPE)

    for name in ("kv-advance", "kv-promote"):
        [metric] = the(rendered, "AnalysisTemplate", name)["spec"]["metrics"]
        # An error is not counted; it is measured again, so often that an hour passes.
        assert metric["count"] == 1
        assert metric["interval"] == "15s"
        assert metric["consecutiveErrorLimit"] == 240
        assert "failureCondition" not in metric
