"""A mirror copies its percentage of the reads, and no writes."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rollout.plan.model import Strategy
from rollout.rehearsal.loopback import url_of
from rollout.rehearsal.rehearsal import Rehearsal, rehearsing
from tests.rollout.rehearsal.http_load import request, send, send_times
from tests.rollout.rehearsal.measurements import print_measurement
from tests.rollout.rehearsal.plans import (
    ECHOES,
    HOST,
    documents,
    need_programs,
    plan_of,
    routes_of,
    step_of,
)
from tests.support.sizes import size
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS = size(2_000, long=10_000)
WRITES = size(300, long=1000)
PERCENT = 5
#: Half the width of the 99.9 % interval of the binomial distribution, normal approximation.
SPREAD = 3.29 * math.sqrt(READS * PERCENT / 100 * (1 - PERCENT / 100))
_COUNTED = re.compile(
    rb"^http_server_request_duration_seconds_count\{.*\} ([0-9.e+]+)$", re.MULTILINE
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mirrored() -> AsyncIterator[Rehearsal]:
    """The stable release is an echo service; the shadow is tallykv with a store of its own."""
    need_programs()
    document = copy.deepcopy(routes_of("mirror/steps/10"))
    for route in document["spec"]["http"]:
        for mirror in route.get("mirrors", ()):
            mirror["percentage"]["value"] = PERCENT
    steps = [step_of(routes_of("mirror/steps/00"), "00"), step_of(document, "05")]
    plan = plan_of(Strategy.CANARY, "stable", "shadow", steps)
    found = documents("gateway", "mirror/1-workloads", "mirror/2-limits")
    async with rehearsing(found, plan, ECHOES) as running:
        await running.target.apply(steps[1])
        yield running


async def shadow_requests(mirrored: Rehearsal) -> int:
    """Return how many requests the shadow has counted, when none is in flight."""
    await eventually(lambda: _idle(mirrored))
    [shadow] = [pod for pod in mirrored.kubelet.pods if pod.spec.workload == "kv-shadow"]
    assert shadow.admin is not None
    seen = await send(url_of(shadow.admin), request("GET", "/metrics", "shadow"))
    return sum(int(float(count)) for count in _COUNTED.findall(seen.bodies[0]))


async def _idle(mirrored: Rehearsal) -> bool:
    return not await mirrored.admin.sum_of(r"^cluster\..*upstream_rq_(active|pending_active)$")


async def test_the_percentage_of_reads_is_mirrored(mirrored: Rehearsal) -> None:
    # 1 of 1000 samples is outside the interval by chance: then a second sample decides.
    assert await _within(mirrored) or await _within(mirrored)


async def _within(mirrored: Rehearsal) -> bool:
    before = await shadow_requests(mirrored)

    seen = await send_times(mirrored.gateway, READS, request("GET", "/v1/kv/a", HOST))

    copies = await shadow_requests(mirrored) - before
    print_measurement(
        f"{copies} of {READS} reads were mirrored, {READS * PERCENT // 100} ± {SPREAD:.0f}"
    )
    assert seen.tracks == {"stable": READS}
    return abs(copies - READS * PERCENT / 100) <= SPREAD


async def test_writes_are_not_copied(mirrored: Rehearsal) -> None:
    before = await shadow_requests(mirrored)

    seen = await send_times(
        mirrored.gateway, WRITES, request("POST", "/v1/counters/a/increments", HOST)
    )

    assert seen.tracks == {"stable": WRITES}
    assert await shadow_requests(mirrored) == before


async def test_the_shadow_has_a_store_of_its_own(mirrored: Rehearsal) -> None:
    stores = {pod.spec.workload: pod.spec.store for pod in mirrored.kubelet.pods}

    assert stores["kv-shadow"] == "kv/kv-redis-shadow/url"
