"""Each arm receives the share of requests that the weights say."""

from __future__ import annotations

import math

import pytest

from rollout.rehearsal.rehearsal import Rehearsal
from tests.rollout.rehearsal.http_load import request, send_times
from tests.rollout.rehearsal.measurements import print_measurement
from tests.rollout.rehearsal.plans import HOST, canary_step
from tests.support.sizes import size

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = size(2_000, long=10_000)
#: Two-sided 99.9 % quantile of the normal distribution.
Z = 3.29


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
async def test_the_split_is_what_the_weights_say(echoes: Rehearsal, percent: int) -> None:
    await echoes.target.apply(canary_step(percent))

    # 1 of 1000 samples is outside the interval by chance: then a second sample decides.
    assert await _within(echoes, percent) or await _within(echoes, percent)


async def _within(echoes: Rehearsal, percent: int) -> bool:
    seen = await send_times(echoes.gateway, REQUESTS, request("GET", "/v1/kv/a", HOST))

    expected = REQUESTS * percent / 100
    spread = Z * math.sqrt(expected * (1 - percent / 100))
    print_measurement(
        f"{percent} %: {seen.tracks['canary']} of {REQUESTS}, {expected:.0f} ± {spread:.0f}"
    )
    assert seen.statuses == {200: REQUESTS}
    return abs(seen.tracks["canary"] - expected) <= spread


async def test_weight_zero_gets_no_request(echoes: Rehearsal) -> None:
    await echoes.target.apply(canary_step(0))

    seen = await send_times(echoes.gateway, REQUESTS, request("GET", "/v1/kv/a", HOST))

    assert seen.tracks == {"stable": REQUESTS}


async def test_evidence_counts_each_request_once_and_for_its_arm(echoes: Rehearsal) -> None:
    await echoes.target.apply(canary_step(50))
    before = await echoes.source.read()

    seen = await send_times(echoes.gateway, 2000, request("GET", "/v1/kv/a", HOST))

    after = await echoes.source.read()
    added = {
        series.arm.value: counts.requests - before.counts[series].requests
        for series, counts in after.counts.items()
    }
    assert added.pop("neither", 0) == 0
    assert added == dict(seen.tracks)
