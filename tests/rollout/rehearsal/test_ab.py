"""A/B: requests with the header or the cookie get the canary; others get the stable release."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rollout.plan.model import Strategy
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

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = 1000
NEAR_MISSES = (
    "variant=a",
    "variant=bb",
    "variant=B",
    "xvariant=b",
    "variant=b2; other=1",
    "other=variant=b",
    "variant =b",
    "variants=b; variant=a",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ab() -> AsyncIterator[Rehearsal]:
    need_programs()
    steps = [step_of(routes_of(f"ab/steps/{name}"), name) for name in ("off", "on")]
    plan = plan_of(Strategy.AB, "stable", "canary", steps)
    found = documents("gateway", "ab/1-workloads", "ab/2-subsets")
    async with rehearsing(found, plan, ECHOES) as running:
        await running.target.apply(steps[1])
        yield running


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "header", ["x-variant: b", "Cookie: variant=b", "Cookie: a=1; variant=b; c=2"]
)
async def test_requests_with_the_header_or_the_cookie_get_the_canary(
    ab: Rehearsal, header: str, method: str
) -> None:
    seen = await send_times(ab.gateway, REQUESTS, request(method, "/v1/kv/a", HOST, header))

    print_measurement(f"{method} with {header}: {seen.tracks}")
    assert seen.tracks == {"canary": REQUESTS}


async def test_other_requests_get_the_stable_release(ab: Rehearsal) -> None:
    seen = await send_times(ab.gateway, REQUESTS, request("GET", "/v1/kv/a", HOST))

    assert seen.tracks == {"stable": REQUESTS}


@pytest.mark.parametrize("cookie", NEAR_MISSES)
async def test_a_similar_cookie_does_not_match(ab: Rehearsal, cookie: str) -> None:
    one = request("GET", "/v1/kv/a", HOST, f"Cookie: {cookie}")

    seen = await send(ab.gateway, *[one] * 50)

    assert seen.tracks == {"stable": 50}
