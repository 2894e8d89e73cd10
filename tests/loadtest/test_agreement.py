"""Locust counts the same requests as the service and Envoy."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from loadtest.reports.releases import AnswerKind
from rollout.evidence.counts import BOTH
from rollout.rehearsal.rehearsal import rehearsing
from tests.loadtest.round_robin import round_robin
from tests.loadtest.runs import run_load, thresholds
from tests.rollout.rehearsal.plans import (
    HOST,
    TALLYKV,
    canary_documents,
    canary_plan,
    canary_step,
    need_programs,
)
from tests.support.plain_http import fetch
from tests.support.redis_servers import RedisServer
from tests.support.services import ServiceProcess, service_process
from tests.support.waiting import eventually

DURATION = "http_server_request_duration_seconds"


def counted(service: ServiceProcess) -> tuple[Counter[AnswerKind], float]:
    """Return the counts and the sum in seconds of the service's histogram."""
    counts: Counter[AnswerKind] = Counter()
    seconds = 0.0
    text = fetch(f"{service.admin_base}/metrics").body.decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"{DURATION}_count":
                method, route, status = (
                    sample.labels[name]
                    for name in (
                        "http_request_method",
                        "http_route",
                        "http_response_status_code",
                    )
                )
                counts[AnswerKind(method, route, int(status))] += int(sample.value)
            if sample.name == f"{DURATION}_sum":
                seconds += sample.value
    return +counts, seconds


async def test_locust_and_the_service_count_the_same_by_route_and_status(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with service_process(
        KV_STORE_URL=redis_server.url, KV_STORE_TIMEOUT_MS="30000", KV_DRAIN_SECONDS="0"
    ) as service:
        outcome = await run_load(
            tmp_path,
            *("--host", service.base, "--users", "25", "--run-time", "3s", *thresholds(tmp_path)),
        )
        counts, seconds = counted(service)

    assert outcome.code == 0, outcome.output
    assert outcome.answers == counts
    assert len(counts) >= 12
    by_route: Counter[str] = Counter()
    for kind, count in counts.items():
        by_route[f"{kind.method} {kind.route}"] += count
    assert outcome.requests == by_route
    # Clients also wait for the network and for their own loop.
    assert outcome.mean_seconds >= seconds / counts.total()


async def test_two_versions_behind_one_address_are_told_apart(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    common = {
        "KV_STORE_URL": redis_server.url,
        "KV_STORE_TIMEOUT_MS": "30000",
        "KV_DRAIN_SECONDS": "0",
    }
    with (
        service_process(**common, KV_VERSION="1.0.0", KV_TRACK="stable") as stable,
        service_process(**common, KV_VERSION="2.0.0", KV_TRACK="canary") as canary,
    ):
        async with round_robin(stable.port, canary.port) as host:
            outcome = await run_load(
                tmp_path,
                *("--host", host, "--users", "20", "--run-time", "2s", *thresholds(tmp_path)),
            )
        found = {
            release: counted(each)[0].total()
            for release, each in (
                (("1.0.0", "stable"), stable),
                (("2.0.0", "canary"), canary),
            )
        }

    assert outcome.code == 0, outcome.output
    assert {r: int(row["requests"]) for r, row in outcome.versions.items()} == found
    assert min(found.values()) > 0
    assert "2.0.0" in outcome.output.partition("By version")[2]


async def test_locust_and_envoy_count_the_same_in_the_middle_of_a_canary(tmp_path: Path) -> None:
    need_programs()
    async with rehearsing(canary_documents(), canary_plan(), TALLYKV) as rehearsal:
        await rehearsal.target.apply(canary_step(50))
        outcome = await run_load(
            tmp_path,
            *("--host", rehearsal.gateway, "--host-header", HOST),
            *("--users", "20", "--run-time", "3s", *thresholds(tmp_path)),
        )
        requests = sum(outcome.requests.values())

        async def all_logged() -> bool:
            arms = rehearsal.counts.by_arm().values()
            return sum(each.requests for each in arms) >= requests

        await eventually(all_logged, what="Envoy's access log")
        counts = rehearsal.counts.by_arm()
        downstream = await rehearsal.admin.sum_of(r"^http\.gateway_\d+\.downstream_rq_completed$")

    assert outcome.code == 0, outcome.output
    by_track = {track: int(row["requests"]) for (_, track), row in outcome.versions.items()}
    assert by_track == {arm.value: counts[arm].requests for arm in BOTH}
    assert sum(by_track.values()) == requests
    assert downstream == requests
    # Six standard deviations of a fair coin.
    assert abs(by_track["canary"] - requests / 2) < 3 * math.sqrt(requests)
