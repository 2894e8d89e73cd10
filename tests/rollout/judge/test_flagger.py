"""What Flagger sends its webhooks, with the hooks of istio/judge/flagger, is answered as it needs.

Flagger posts JSON and reads the status: up to 202 is yes, anything else is no. At each interval it
asks ``rollback``, then ``confirm-traffic-increase`` (also before the first weight), and at the last
weight ``confirm-promotion``. (fluxcd/flagger: pkg/controller/webhook.go, scheduler.go)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.rollout.judge.judge_process import Judge, Service, config
from tests.support.manifests import of_kind, render
from tests.support.ports import free_port

#: The types of the hooks in the order in which Flagger calls them.
ROLLBACK: Final = "rollback"
INCREASE: Final = "confirm-traffic-increase"
PROMOTION: Final = "confirm-promotion"


def hooks() -> dict[str, str]:
    """Return the path of each hook of the recipe, by its type."""
    [canary] = of_kind(render("istio/judge/flagger"), "Canary")
    analysis = canary["spec"]["analysis"]
    assert analysis["metrics"] == []
    found = {each["type"]: urlsplit(each["url"]) for each in analysis["webhooks"]}
    assert {each.netloc for each in found.values()} == {"tallykv-judge.kv:9280"}
    return {kind: each.path for kind, each in found.items()}


def call(judge: Judge, kind: str, checksum: str = "85d557f47b") -> bool:
    """Call a hook as Flagger does; return True if Flagger takes the answer for a yes."""
    answer = judge.post(
        hooks()[kind],
        {
            "name": "kv",
            "namespace": "kv",
            "phase": "Progressing",
            "checksum": checksum,
            "metadata": {"any": "text"},
        },
        User_Agent="Go-http-client/1.1",
        Accept_Encoding="gzip",
    )
    assert answer.status in {200, 403}
    assert answer.json["reason"]
    return answer.status <= 202


def begin(judge: Judge, service: Service) -> None:
    """Let Flagger start its analysis: stable serves, and the canary has no requests yet."""
    service.serve("stable", 1000)
    # What a pod has counted before it is first seen may be from long ago.
    service.serve("canary", 0)
    service.wait_scraped()
    assert not call(judge, ROLLBACK)
    judge.until_read("kv")
    service.serve("stable", 1000, 1)
    judge.until_counted("kv", stable=1000)


def test_a_harmless_canary_gets_more_and_more_and_then_all(judge: Judge, service: Service) -> None:
    begin(judge, service)

    assert call(judge, INCREASE)
    service.serve("canary", 100)
    service.serve("stable", 900, 1)
    judge.until_counted("kv", stable=1900, canary=100)

    assert not call(judge, ROLLBACK)
    assert call(judge, INCREASE)
    assert not call(judge, PROMOTION)

    service.serve("canary", 500)
    service.serve("stable", 500)
    judge.until_counted("kv", stable=2400, canary=600)

    assert not call(judge, ROLLBACK)
    assert call(judge, INCREASE)
    assert call(judge, PROMOTION)


def test_a_harmful_canary_is_rolled_back_and_gets_no_more(judge: Judge, service: Service) -> None:
    begin(judge, service)
    assert call(judge, INCREASE)

    judge.until_verdict("kv", "harm", service.serve_badly)

    assert call(judge, ROLLBACK)
    assert not call(judge, INCREASE)
    assert not call(judge, PROMOTION)


def test_a_canary_without_requests_gets_its_first_share_and_no_more(
    judge: Judge, service: Service
) -> None:
    begin(judge, service)
    assert call(judge, INCREASE)

    service.serve("stable", 1000)
    judge.until_counted("kv", stable=2000)

    assert not call(judge, INCREASE)
    assert not call(judge, PROMOTION)
    assert not call(judge, ROLLBACK)


def test_no_requests_at_all_are_no_reason_to_begin(judge: Judge) -> None:
    assert not call(judge, ROLLBACK)
    assert not call(judge, INCREASE)
    assert not call(judge, PROMOTION)


def test_without_prometheus_nothing_goes_on_and_nothing_goes_back(
    start: Callable[..., Judge], tmp_path: Path, service: Service
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    judge = start("--config", config(tmp_path, service, prometheus=away))

    assert not call(judge, ROLLBACK)
    assert not call(judge, INCREASE)
    assert not call(judge, PROMOTION)
    shown = judge.show("kv")
    assert shown["verdict"] == "no-data"
    assert away in shown["reason"]


def test_another_release_needs_evidence_of_its_own(judge: Judge, service: Service) -> None:
    begin(judge, service)
    service.serve("canary", 600)
    service.serve("stable", 400)
    judge.until_counted("kv", stable=1400, canary=600)
    assert call(judge, PROMOTION)

    assert not call(judge, PROMOTION, checksum="5b7c7b4d9f")
    assert judge.show("kv")["canary"]["requests"] == 0


def test_an_older_flagger_without_a_checksum_is_answered_too(
    judge: Judge, service: Service
) -> None:
    begin(judge, service)

    answer = judge.post(hooks()[INCREASE], {"name": "kv", "namespace": "kv", "phase": ""})

    assert answer.status == 200
    assert judge.show("kv")["run"] == "85d557f47b"
