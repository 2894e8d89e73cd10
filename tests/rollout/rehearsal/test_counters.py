"""tallykv with a real Redis: no increment is lost or made twice while routes change."""

from __future__ import annotations

import json
import random
import uuid

import pytest

from rollout.rehearsal.load_generator import LoadGenerator
from rollout.rehearsal.rehearsal import Rehearsal
from rollout.rehearsal.request_mix import KeyValueMix
from tests.rollout.rehearsal.http_load import request, send, sending, wait_for_responses
from tests.rollout.rehearsal.measurements import print_measurement
from tests.rollout.rehearsal.plans import HOST, canary_step
from tests.support.sizes import size
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

START_SECONDS = 60.0
CHANGES = size(20, long=100)
#: Before each change.
INCREMENTS = 300
CONNECTIONS = 32


async def test_a_rehearsal_starts_in_time(tallykv: Rehearsal) -> None:
    print_measurement(
        ", ".join(f"{what} {seconds:.2f} s" for what, seconds in tallykv.startup_seconds.items())
    )
    assert tallykv.startup_seconds["all"] < START_SECONDS


async def test_weight_changes_under_load_lose_no_increment(tallykv: Rehearsal) -> None:
    counter = f"/v1/counters/exact-{uuid.uuid4().hex}"
    one = request("POST", f"{counter}/increments", HOST)
    reloads = len(tallykv.control_plane.convergence_seconds)

    # There is load until after the last change, however long each takes.
    async with sending(tallykv.gateway, one, CONNECTIONS) as seen:
        for _ in range(CHANGES):
            await wait_for_responses(seen, seen.total + INCREMENTS)
            await tallykv.target.apply(canary_step(random.choice([0, 1, 10, 50, 90, 100])))
        await wait_for_responses(seen, seen.total + INCREMENTS)

    read = await send(tallykv.gateway, request("GET", counter, HOST))
    seconds = tallykv.control_plane.convergence_seconds[reloads:]
    print_measurement(
        f"{CHANGES} changes ({len(seconds)} with another weight), {seen.failures} of"
        f" {seen.total} failed, by track {dict(seen.tracks)}"
    )
    assert seen.failed == []
    assert set(seen.tracks) == {"stable", "canary"}
    assert json.loads(read.bodies[0])["value"] == seen.total


async def test_load_has_no_failures_and_correct_counters(tallykv: Rehearsal) -> None:
    await tallykv.target.apply(canary_step(50))
    load = LoadGenerator(tallykv.entrances, KeyValueMix(), rate=200)

    async with load.running() as results:
        await eventually(lambda: results.requests >= 400, what="load")
        await load.stop()

    assert await load.check_counters() == {}
    assert results.acknowledged.total() > 0
    assert results.indeterminate.total() == 0
    assert results.failures == 0
    assert set(results.by_track) == {"stable", "canary"}
    assert set(results.by_version) == {"0.1.0", "0.2.0"}
    assert sum(sample.requests.total() for sample in results.seconds) == results.requests


async def test_requests_over_the_limit_in_flight_are_skipped_and_counted(
    tallykv: Rehearsal,
) -> None:
    load = LoadGenerator(tallykv.entrances, KeyValueMix(), rate=20_000)

    async with load.running() as results:
        await eventually(lambda: results.skipped > 0, what="skipped requests")

    assert await load.check_counters() == {}
