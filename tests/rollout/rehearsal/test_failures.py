"""Failures: which arm they count for, and how often a failed request is attempted."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from rollout.evidence.counts import Arm, CounterSnapshot, Counts
from rollout.rehearsal import kubelet
from rollout.rehearsal.kubelet import Pod
from rollout.rehearsal.load_generator import LoadGenerator
from rollout.rehearsal.loopback import url_of
from rollout.rehearsal.rehearsal import Rehearsal, rehearsing
from rollout.rehearsal.request_mix import RepeatedRequest
from tests.rollout.rehearsal.http_load import request, send, send_times
from tests.rollout.rehearsal.measurements import print_measurement
from tests.rollout.rehearsal.plans import (
    ECHOES,
    HOST,
    canary_documents,
    canary_plan,
    canary_step,
    changed,
    need_programs,
    routes_of,
    step_of,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAIL = request("POST", "/fail", HOST)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def echoes() -> AsyncIterator[Rehearsal]:
    need_programs()
    async with rehearsing(canary_documents(), canary_plan(), ECHOES) as running:
        yield running


def pod_of(rehearsal: Rehearsal, arm: Arm) -> Pod:
    [pod] = [each for each in rehearsal.kubelet.pods if each.spec.arm is arm]
    return pod


async def calls(rehearsal: Rehearsal, method: str) -> int:
    """Return how many requests of a method the stable release has received."""
    pod = pod_of(rehearsal, Arm.STABLE)
    seen = await send(url_of(pod.traffic), request("GET", "/counts", "echo"))
    return int(json.loads(seen.bodies[0]).get(method, 0))


def added(before: CounterSnapshot, after: CounterSnapshot, arm: Arm) -> Counts:
    [then] = [counts for series, counts in before.counts.items() if series.arm is arm]
    [now] = [counts for series, counts in after.counts.items() if series.arm is arm]
    return Counts(
        now.requests - then.requests,
        now.failures - then.failures,
        tuple(more - less for more, less in zip(now.slow, then.slow, strict=True)),
    )


async def scraped(rehearsal: Rehearsal, **labels: str) -> float:
    """Return the sum of Istio's request counter over the series with these labels."""
    async with aiohttp.ClientSession() as client, client.get(rehearsal.metrics) as response:
        text = await response.text()
    found = re.findall(r"^istio_requests_total\{(.*)\} (.*)$", text, re.MULTILINE)
    return sum(
        float(value)
        for written, value in found
        if {f'{name}="{label}"' for name, label in labels.items()} <= set(written.split(","))
    )


async def test_a_failed_write_is_tried_once(echoes: Rehearsal) -> None:
    await echoes.target.apply(canary_step(0))
    before = await calls(echoes, "POST")

    seen = await send(echoes.gateway, FAIL)

    assert seen.statuses == {503: 1}
    assert await calls(echoes, "POST") - before == 1


async def test_with_retries_on_5xx_it_is_tried_twice(echoes: Rehearsal) -> None:
    """The mistake that a lint rule reports, with its effect."""
    retried = changed(routes_of("canary/steps/00"), retries={"attempts": 1, "retryOn": "5xx"})
    await echoes.target.apply(step_of(retried))
    before = await calls(echoes, "POST")

    seen = await send(echoes.gateway, FAIL)

    assert seen.statuses == {503: 1}
    assert await calls(echoes, "POST") - before == 2


async def test_a_failure_counts_for_the_chosen_arm(echoes: Rehearsal) -> None:
    await echoes.target.apply(canary_step(100))
    before = await echoes.source.read()

    await send_times(echoes.gateway, 20, FAIL)
    await send_times(echoes.gateway, 30, request("POST", "/", HOST))

    after = await echoes.source.read()
    canary = added(before, after, Arm.CANARY)
    assert (canary.requests, canary.failures) == (50, 20)
    assert all(slow >= 20 for slow in canary.slow)
    assert added(before, after, Arm.STABLE) == Counts(0, 0, (0,) * len(canary.slow))


async def test_clients_count_their_failures_by_the_second(echoes: Rehearsal) -> None:
    await echoes.target.apply(canary_step(0))
    load = LoadGenerator(echoes.entrances, RepeatedRequest.parse("POST /fail"), rate=100)

    async with load.running() as results:
        await eventually(lambda: results.requests >= 20, what="load")
        await load.stop()

    assert results.by_status == {503: results.requests}
    assert results.by_track == {"stable": results.requests}
    assert sum(each.failures["stable"] for each in results.seconds) == results.failures


async def test_a_pod_that_ends_is_restarted(
    echoes: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_none = asyncio.Event()
    start = echoes.kubelet._start

    async def start_later(pod: Pod) -> None:
        # However long requests take to find that there is no pod.
        await found_none.wait()
        await start(pod)

    monkeypatch.setattr(echoes.kubelet, "_start", start_later)
    await echoes.target.apply(canary_step(100))
    pod = pod_of(echoes, Arm.CANARY)
    restarts, events = pod.restarts, len(echoes.events)
    before = await echoes.source.read()
    unreached = {"destination_workload": "unknown", "response_flags": "UH"}
    counted = await scraped(echoes, **unreached)
    assert pod.child is not None

    pod.child.kill()
    await eventually(lambda: not pod.ready, what="the death of a pod")
    seen = await eventually(lambda: _unhealthy(echoes), what="a route to no pod")
    after = await echoes.source.read()
    found_none.set()
    await eventually(lambda: echoes.events[-1][1] == f"{pod.name} is ready", what="a new pod")
    back = await send(echoes.gateway, *[request("POST", "/", HOST)] * 10)

    print_measurement("; ".join(event for _, event in echoes.events[events:]))
    assert [each.statuses for each in seen] == [{503: 1}] * 10
    assert added(before, after, Arm.NEITHER).failures >= 10
    assert await scraped(echoes, **unreached) - counted >= 10
    assert pod.restarts == restarts + 1
    assert [event for _, event in echoes.events[events:]] == [
        f"{pod.name} is not ready",
        f"{pod.name} ended with code -9; restart in {kubelet._FIRST_BACKOFF_SECONDS:g} s",
        f"{pod.name} is ready",
    ]
    assert back.tracks == {"canary": 10}


async def _unhealthy(echoes: Rehearsal) -> object:
    """Send requests; return the responses if Envoy already knew that there is no pod, else None."""
    before = await echoes.admin.sum_of(r"upstream_cx_none_healthy$")
    # One connection each: Envoy may close a connection after a response of its own.
    seen = [await send(echoes.gateway, request("POST", "/", HOST)) for _ in range(10)]
    known = await echoes.admin.sum_of(r"upstream_cx_none_healthy$") - before
    return seen if known == 10 else None


async def test_a_request_without_a_route_counts_for_no_arm(echoes: Rehearsal) -> None:
    """Envoy chose no cluster for it, so it counts for no arm."""
    await echoes.target.apply(canary_step(100))
    before, lost = await echoes.source.read(), echoes.counts.unattributed.requests

    seen = await send(echoes.gateway, request("GET", "/", "elsewhere.example.com"))

    after = await echoes.source.read()
    assert seen.statuses == {404: 1}
    assert added(before, after, Arm.CANARY).requests == 0
    assert echoes.counts.unattributed.requests - lost == 1
