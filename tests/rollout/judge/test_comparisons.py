"""Comparisons are created by name, hold on to their evidence, and end when nobody asks."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.cli.cli_process import started
from tests.rollout.judge.judge_process import LABEL, SECONDS, Judge, Service, config
from tests.support.plain_http import fetch
from tests.support.prometheus import check_metrics
from tests.support.waiting import until


@pytest.fixture
def open_judge(start: Callable[..., Judge], service: Service) -> Judge:
    """Return a judge without a configuration: requests define its comparisons."""
    return start("--prometheus", service.scraped.prometheus.base)


def test_a_request_creates_a_comparison_and_the_same_one_continues_it(
    open_judge: Judge, service: Service
) -> None:
    body = {**service.definition, "run": "1.5.0"}
    service.serve("stable", 10)
    service.serve("canary", 10)
    service.wait_scraped()

    created = open_judge.post("/v1/comparisons/shop", body)
    open_judge.until_read("shop")
    service.serve("stable", 100)
    service.serve("canary", 50, 1)
    open_judge.until_counted("shop", stable=100, canary=50)
    continued = open_judge.post("/v1/comparisons/shop", body)

    assert (created.status, continued.status) == (201, 200)
    assert continued.json["run"] == "1.5.0"
    assert continued.json["canary"] == {
        "requests": 50,
        "failures": 1,
        "slow": {"0.1": 1, "0.5": 1},
    }
    assert open_judge.post("/v1/comparisons/shop", {"run": "1.6.0"}).json["canary"]["requests"] == 0


def test_an_answer_says_how_sure_it_is_and_how_much_is_missing(
    judge: Judge, service: Service
) -> None:
    service.serve("stable", 100)
    service.serve("canary", 100)
    service.wait_scraped()
    judge.show("kv")
    judge.until_read("kv")
    service.serve("stable", 5000, 20)
    service.serve("canary", 100)
    shown = judge.until_counted("kv", stable=5000, canary=100)

    assert shown["verdict"] == "not-proven"
    assert shown["gates"] == {"advance": True, "promote": False, "rollback": False}
    assert shown["evidence"]["harm"]["threshold"] == pytest.approx(100)
    assert shown["evidence"]["merit"]["threshold"] == pytest.approx(20)
    assert 1 < shown["evidence"]["merit"]["eValue"] < 20
    assert shown["errorRatio"]["lower"] is None
    assert shown["errorRatio"]["ratio"] == 0
    # Without a failure, a proof of 1 % takes 299 requests at least. Some are expected, because
    # stable fails 0.4 % of its requests.
    assert 150 < shown["requestsNeeded"] < 1000
    assert f"{shown['requestsNeeded']:,} more" in shown["reason"]
    assert shown["secondsNeeded"] > 0
    assert 0 <= shown["data"]["canaryAgeSeconds"] < SECONDS
    assert shown["data"]["problem"] == ""
    no = judge.get("/v1/comparisons/kv/gate/promote")
    assert no.status == 403
    assert no.json["requestsNeeded"] == shown["requestsNeeded"]
    assert no.json["errorRatio"] == shown["errorRatio"]
    assert no.json["secondsNeeded"] > 0


def test_a_pair_of_counters_is_judged_as_well(open_judge: Judge, service: Service) -> None:
    pods = {
        track: service.scraped.target(namespace=service.namespace, pod=track, track=track)
        for track in ("stable", "canary")
    }

    def count(track: str, orders: int, failed: int) -> None:
        pods[track].text = (
            f'orders_total{{result="paid"}} {orders - failed}\n'
            f'orders_total{{result="failed"}} {failed}\n'
        )

    count("stable", 50, 5)
    count("canary", 50, 5)
    selector = f'namespace="{service.namespace}"'
    total = f"orders_total{{{selector}}}"
    # A pod that is scraped later than the other one would count from later on.
    scraped = service.scraped.prometheus.value
    until(lambda: scraped(f"sum({total})") == 100, what="a scrape of both pods")
    for name, part in (
        ("bad", {"bad": f'orders_total{{{selector},result="failed"}}'}),
        ("good", {"good": f'orders_total{{{selector},result!="failed"}}'}),
    ):
        source = {"counters": {"total": total, "label": LABEL, **part}}
        made = open_judge.post(f"/v1/comparisons/{name}", {"source": source, "interval": "1s"})
        assert made.status == 201, made.body
        open_judge.until_read(name)
    orders = 50

    def serve() -> None:
        nonlocal orders
        orders += 50
        count("stable", orders, 5)
        count("canary", orders, 5 + (orders - 50) * 2 // 5)

    for name in ("bad", "good"):
        open_judge.until_verdict(name, "harm", serve)
    for name in ("bad", "good"):
        shown = open_judge.until_counted(name, stable=orders - 50, canary=orders - 50)
        assert shown["canary"]["failures"] == (orders - 50) * 2 // 5
        assert shown["canary"]["slow"] == {}
        assert shown["stable"]["failures"] == 0
        assert shown["errorRatio"]["lower"] > 5
        assert "40 %" in shown["reason"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"source": {}}, "source: exactly one of istio, app and counters"),
        ({"sauce": {}}, "source: Field required"),
        ({"source": {"counters": {"total": "sum(x)", "bad": "x", "label": LABEL}}}, "total"),
        ({"source": {"counters": {"total": "x", "label": LABEL}}}, "one of bad and good"),
        ({"prometheus": "http://elsewhere"}, "prometheus: there is no such field"),
        ({"share": 2}, "share"),
        ({"interval": "1ms"}, "interval"),
        ({"objective": {"errorRatio": 0}}, "objective.errorRatio"),
        ([], "must be a JSON object"),
    ],
)
def test_a_definition_with_a_mistake_is_refused_with_the_field(
    shared_judge: Judge, service: Service, body: Any, named: str
) -> None:
    whole = {**service.definition, **body} if isinstance(body, dict) else body
    if "sauce" in body:
        del whole["source"]

    answer = shared_judge.post("/v1/comparisons/mistaken", whole)

    assert answer.status == 400
    assert named in answer.json["error"]


def test_a_definition_is_not_changed_while_its_run_lasts(
    shared_judge: Judge, service: Service
) -> None:
    other = {**service.definition, "share": 0.5}
    shared_judge.post("/v1/comparisons/shop", service.definition)

    assert shared_judge.post("/v1/comparisons/shop", other).status == 409
    assert shared_judge.post("/v1/comparisons/shop", {**other, "run": "next"}).status == 201


def test_a_request_defines_nothing_that_the_configuration_has(
    shared_judge: Judge, service: Service
) -> None:
    answer = shared_judge.post("/v1/comparisons/kv", service.definition)

    assert answer.status == 409
    assert "configuration" in answer.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/comparisons/unknown", 404),
        ("POST", "/v1/comparisons/unknown/gate/promote", 404),
        ("POST", "/v1/comparisons/kv/gate/worse", 404),
        ("GET", "/v1/comparisons/NO_NAME", 400),
        ("PUT", "/v1/comparisons/kv", 405),
        ("GET", "/v1/comparisons/kv?run=" + "x" * 300, 400),
    ],
)
def test_what_is_not_there_is_no_yes(
    shared_judge: Judge, method: str, path: str, status: int
) -> None:
    answer = fetch(shared_judge.base + path, method)

    assert answer.status == status
    assert answer.json["error"]


def test_the_number_of_comparisons_is_bounded(
    start: Callable[..., Judge], service: Service
) -> None:
    judge = start("--prometheus", service.scraped.prometheus.base, "--max-comparisons", "1")
    assert judge.post("/v1/comparisons/one", service.definition).status == 201

    refused = judge.post("/v1/comparisons/two", service.definition)

    assert refused.status == 429
    assert "--max-comparisons" in refused.json["error"]
    assert judge.post("/v1/comparisons/one", service.definition).status == 200


def test_a_comparison_that_is_deleted_or_idle_forgets_its_evidence(
    start: Callable[..., Judge], tmp_path: Path, service: Service
) -> None:
    judge = start("--config", config(tmp_path, service), "--idle", "10s")
    service.serve("stable", 10)
    judge.show("kv")
    judge.until_read("kv")
    service.serve("stable", 100)
    judge.until_counted("kv", stable=100)

    def listed() -> list[Any]:
        found: list[Any] = judge.get("/v1/comparisons").json["comparisons"]
        return found

    assert [each["name"] for each in listed()] == ["kv"]
    until(lambda: not listed(), seconds=SECONDS, what="the end of an idle comparison")
    assert judge.show("kv")["stable"]["requests"] == 0

    assert fetch(f"{judge.base}/v1/comparisons/kv", "DELETE").status == 204
    assert listed() == []
    assert not (tmp_path / "state" / "kv").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_restart_continues_the_evidence(
    start: Callable[..., Judge], tmp_path: Path, service: Service, number: signal.Signals
) -> None:
    arguments = ("--config", config(tmp_path, service))
    service.serve("stable", 10)
    service.serve("canary", 10)
    service.wait_scraped()
    first = start(*arguments)
    first.show("kv", "1.5.0")
    first.until_read("kv")
    before = first.until_verdict("kv", "harm", service.serve_badly)
    # A judge saves what it has read before it reads again.
    service.serve_badly()
    counted = before["canary"]["requests"]
    until(lambda: first.show("kv")["canary"]["requests"] > counted, seconds=SECONDS, what="a save")

    first.command.signal(number)
    code = first.command.wait()
    second = start(*arguments)
    after = second.show("kv")

    assert code == (0 if number is signal.SIGTERM else -signal.SIGKILL)
    assert after["run"] == "1.5.0"
    assert after["since"] == before["since"]
    assert after["canary"]["requests"] >= counted
    assert after["evidence"]["harm"]["eValue"] >= 100
    assert after["verdict"] == "harm"
    assert second.post("/v1/comparisons/kv/gate/rollback", {"checksum": "1.5.0"}).status == 200


def test_two_judges_do_not_share_a_state(
    start: Callable[..., Judge], tmp_path: Path, judge: Judge
) -> None:
    judge.show("kv")

    with started(
        tmp_path,
        *("judge", "--config", tmp_path / "judge.yaml", "--port", "0"),
        *("--state", tmp_path / "state"),
    ) as second:
        assert second.wait() == 2

    assert "another judge uses" in second.err


def test_a_mistake_in_the_configuration_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "judge.yaml"
    file.write_text(
        "prometheus: http://localhost:9090\n"
        "comparisons:\n"
        "  - name: kv\n"
        "    source:\n"
        "      app:\n"
        "        namespace: kv\n"
        "        label: {name: track, stable: a, canary: a}\n"
        "    sharee: 0.1\n"
    )

    with started(tmp_path, "judge", "--config", file) as command:
        assert command.wait() == 2

    lines = command.err.splitlines()
    assert (
        f"{file}:7: comparisons[0].source.app.label: stable and canary have one value" in lines[0]
    )
    assert f"{file}:8: comparisons[0].sharee: there is no such field" in lines[1]


def test_the_series_are_those_of_the_comparisons(judge: Judge, service: Service) -> None:
    service.serve("stable", 10)
    judge.show("kv")
    judge.until_read("kv")
    service.serve("stable", 100, 3)
    judge.until_counted("kv", stable=100)

    answer = judge.get("/metrics")

    assert check_metrics(answer.body) == ""
    text = answer.body.decode()
    assert 'kv_judge_requests_total{comparison="kv",track="stable"} 100.0' in text
    assert 'kv_judge_failures_total{comparison="kv",track="stable"} 3.0' in text
    assert 'kv_judge_verdict{comparison="kv",verdict="no-data"} 1.0' in text
    assert judge.get("/healthz").status == judge.get("/readyz").status == 200
