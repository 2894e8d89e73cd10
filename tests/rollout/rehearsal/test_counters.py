"""Real releases over a real Redis: no increment is lost or made twice, whatever the routes do."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from functools import partial
from itertools import repeat

import pytest

from rollout.rehearsal.rehearsal import Rehearsal
from rollout.rehearsal.requests import KeyValueMix
from rollout.rehearsal.traffic import Traffic
from tests.rollout.rehearsal.flood import ask, flood, request
from tests.rollout.rehearsal.measured import show
from tests.rollout.rehearsal.plans import HOST, canary_step
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

START_SECONDS = 5.0
INCREMENTS = 30_000
CHANGES = 100


async def test_a_rehearsal_starts_in_time(tallykv: Rehearsal) -> None:
    show(", ".join(f"{what} {seconds:.2f} s" for what, seconds in tallykv.timings.items()))
    assert tallykv.timings["all"] < START_SECONDS


async def test_weight_changes_under_load_lose_no_increment(tallykv: Rehearsal) -> None:
    counter = f"/v1/counters/exact-{uuid.uuid4().hex}"
    one = request("POST", f"{counter}/increments", HOST)
    flooded = asyncio.create_task(flood(tallykv.gateway, repeat(one, INCREMENTS)))
    reloads = len(tallykv.control_plane.reloads)

    before = await _completed(tallykv)
    for change in range(1, CHANGES + 1):
        # Each at its part of the way, so that the last ones meet requests, too.
        share = before + INCREMENTS * change // (CHANGES + 5)
        await eventually(partial(_reached, tallykv, share), seconds=60)
        await tallykv.target.apply(canary_step(random.choice([0, 1, 10, 50, 90, 100])))
        if change == CHANGES:
            assert not flooded.done()
    seen = await flooded

    read = await ask(tallykv.gateway, request("GET", counter, HOST))
    seconds = tallykv.control_plane.reloads[reloads:]
    show(
        f"{CHANGES} changes ({len(seconds)} with another weight), {seen.failures} of"
        f" {seen.answers} failed, by track {dict(seen.tracks)}"
    )
    assert seen.failures == 0
    assert set(seen.tracks) == {"stable", "canary"}
    assert json.loads(read.bodies[0])["value"] == INCREMENTS


async def _reached(tallykv: Rehearsal, requests: int) -> bool:
    return await _completed(tallykv) >= requests


async def _completed(tallykv: Rehearsal) -> int:
    return await tallykv.admin.sum_of(r"^http\.gateway_80\.downstream_rq_completed$")


async def test_traffic_is_even_and_settles_to_the_truth(tallykv: Rehearsal) -> None:
    await tallykv.target.apply(canary_step(50))
    traffic = Traffic(tallykv.gateway, HOST, KeyValueMix(), rate=200)

    async with traffic.running() as tally:
        await eventually(lambda: tally.requests >= 400, what="traffic")
        await traffic.stop()

    assert await traffic.check_counters() == {}
    assert tally.acknowledged.total() > 0
    assert tally.unsettled.total() == 0
    assert tally.failures == 0
    assert set(tally.by_track) == {"stable", "canary"}
    assert set(tally.by_version) == {"0.1.0", "0.2.0"}
    assert sum(sample.requests.total() for sample in tally.samples) == tally.requests


async def test_traffic_that_outruns_its_bound_is_skipped_and_counted(tallykv: Rehearsal) -> None:
    traffic = Traffic(tallykv.gateway, HOST, KeyValueMix(), rate=20_000)

    async with traffic.running() as tally:
        await eventually(lambda: tally.skipped > 0, what="skipped requests")

    assert await traffic.check_counters() == {}
