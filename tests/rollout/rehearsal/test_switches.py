"""Blue/green: no request fails in a switch, and none goes to the old colour after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from rollout.plan.model import Step, Strategy
from rollout.rehearsal.kubelet import Pod
from rollout.rehearsal.loopback import url_of
from rollout.rehearsal.rehearsal import Rehearsal, rehearsing
from tests.rollout.rehearsal.http_load import request, send, sending, wait_for_responses
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

FLIPS = size(12, long=50)
#: Requests after each flip, on a new connection.
PROBES = 20
COLOURS = ("blue", "green")


def switch_to(colour: str) -> Step:
    return step_of(routes_of(f"blue-green/steps/{colour}"), colour)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def colours() -> AsyncIterator[Rehearsal]:
    need_programs()
    plan = plan_of(Strategy.BLUE_GREEN, *COLOURS, map(switch_to, COLOURS))
    found = documents("gateway", "blue-green/1-workloads", "blue-green/2-subsets")
    async with rehearsing(found, plan, ECHOES) as running:
        yield running


async def test_switches_under_load_lose_nothing(colours: Rehearsal) -> None:
    one = request("GET", "/v1/kv/a", HOST)
    wrong = 0
    await colours.target.apply(switch_to("blue"))
    async with sending(colours.gateway, request("POST", "/v1/kv/a", HOST), 16) as seen:
        for flip in range(FLIPS):
            colour = COLOURS[(flip + 1) % 2]
            await colours.target.apply(switch_to(colour))
            probed = await send(colours.gateway, *[one] * PROBES)
            wrong += PROBES - probed.tracks[colour]
            await wait_for_responses(seen, (flip + 1) * 100)

    print_measurement(
        f"{FLIPS} flips, {seen.total} requests: {seen.failures} failed, {wrong} went wrong"
    )
    assert seen.failures == 0
    assert wrong == 0


async def test_a_request_under_way_survives_a_switch(colours: Rehearsal) -> None:
    await colours.target.apply(switch_to("blue"))
    before = await _active(colours)
    slow = asyncio.create_task(send(colours.gateway, request("POST", "/slow", HOST)))
    while await _active(colours) == before:  # noqa: ASYNC110 - a statistic of Envoy
        await asyncio.sleep(0.01)

    await colours.target.apply(switch_to("green"))
    after = await send(colours.gateway, request("GET", "/v1/kv/a", HOST))

    assert not slow.done()
    assert after.tracks == {"green": 1}
    [blue] = [pod for pod in colours.kubelet.pods if pod.spec.labels.get("track") == "blue"]
    await eventually(partial(_answer_slow, blue), what="the pod's request")
    answered = await slow
    assert answered.statuses == {200: 1}
    assert answered.tracks == {"blue": 1}


async def _answer_slow(pod: Pod) -> bool:
    """Let the pod answer the request that waits; return False if it has not arrived yet."""
    said = await send(url_of(pod.traffic), request("GET", "/go", "echo"))
    return said.bodies == [b"1"]


async def _active(colours: Rehearsal) -> int:
    return await colours.admin.sum_of(r"^cluster\..*\.upstream_rq_active$")


async def test_applying_a_step_twice_is_applying_it_once(colours: Rehearsal) -> None:
    green = switch_to("green")
    await colours.target.apply(green)
    reloads = len(colours.control_plane.convergence_seconds)

    await colours.target.apply(green)

    assert len(colours.control_plane.convergence_seconds) == reloads
    assert await colours.target.in_force(green)
    assert not await colours.target.in_force(switch_to("blue"))
