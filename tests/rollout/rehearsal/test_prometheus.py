"""If Prometheus is installed, it has the same series as a Prometheus in a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry, Gauge

from rollout.rehearsal.executables import find_prometheus
from rollout.rehearsal.rehearsal import Rehearsal, rehearsing
from tests.rollout.rehearsal.plans import (
    TALLYKV,
    canary_documents,
    canary_plan,
    canary_step,
    need_programs,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraped() -> AsyncIterator[Rehearsal]:
    need_programs()
    if find_prometheus() is None:
        pytest.skip("needs prometheus (Debian package prometheus)")
    registry = CollectorRegistry()
    Gauge("kv_rollout_weight_ratio", "Share.", registry=registry).set(0.5)
    options = replace(TALLYKV, rate=50, prometheus=True, registry=registry)
    async with rehearsing(canary_documents(), canary_plan(), options) as running:
        await running.target.apply(canary_step(50))
        yield running


async def query(rehearsal: Rehearsal, expression: str) -> list[dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as client,
        client.get(
            f"{rehearsal.prometheus}/api/v1/query", params={"query": expression}
        ) as response,
    ):
        found: list[dict[str, Any]] = (await response.json())["data"]["result"]
        return found


async def test_the_series_of_each_release_have_its_labels(scraped: Rehearsal) -> None:
    expression = "sum by (track, version, namespace, pod) (kv_build_info) > 0"

    found = await eventually(lambda: _two(scraped, expression), what="both releases")

    assert {tuple(sorted(each["metric"].items())) for each in found} == {
        (("namespace", "kv"), ("pod", f"kv-{track}-0"), ("track", track), ("version", version))
        for track, version in (("stable", "0.1.0"), ("canary", "0.2.0"))
    }


async def test_the_gateways_requests_are_there(scraped: Rehearsal) -> None:
    expression = (
        "sum by (destination_workload, destination_version, reporter)"
        ' (istio_requests_total{destination_service="kv.kv.svc.cluster.local"})'
        " and on () sum(istio_request_duration_milliseconds_count) > 0"
    )

    found = await eventually(lambda: _two(scraped, expression), what="requests of both")

    assert {
        (each["metric"]["destination_workload"], each["metric"]["destination_version"])
        for each in found
    } == {("kv-stable", "0.1.0"), ("kv-canary", "0.2.0")}


async def test_the_rollouts_own_series_are_there(scraped: Rehearsal) -> None:
    [found] = await eventually(lambda: query(scraped, "kv_rollout_weight_ratio"), what="it")

    assert found["value"][1] == "0.5"


async def _two(scraped: Rehearsal, expression: str) -> list[dict[str, Any]] | None:
    found = await query(scraped, expression)
    return found if len(found) == 2 else None
