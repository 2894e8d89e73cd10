"""The knee is the last step that keeps the objective, and curves stay within their users."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtest.shapes.curves import CURVES
from loadtest.shapes.knee_search import KneeSearch
from loadtest.thresholds import Demands, Measured
from tests.loadtest.runs import run_load, thresholds
from tests.support.redis_servers import RedisServer
from tests.support.services import service_process

#: Requests in flight, and their latency: at most 16 a second are served, which is little even on a
#: busy machine. Up to 16 users are never refused.
IN_FLIGHT = 16
LATENCY_MS = 1000
MOST_RATE = IN_FLIGHT * 1000 / LATENCY_MS


def search(most: int = 100, **demands: float) -> KneeSearch:
    return KneeSearch(Demands(**demands), 10, most)


def step(requests: int, failures: int = 0) -> Measured:
    return Measured(requests, failures, 1.0, {5: requests})


def test_users_grow_until_the_objective_breaks() -> None:
    found = search(error_ratio=0.01)
    users = []
    for failures in (0, 1, 2):
        users.append(found.users)
        found.add(step(100, failures))

    assert users == [10, 15, 23]
    assert found.users is None
    assert found.knee is not None
    assert found.knee.users == 15
    assert [each.holds for each in found.judge()] == [True]
    assert "knee: 15 users, 100 requests/s" in found.describe()
    assert "broken at 23 users: error_ratio 0.02" in found.describe()


def test_there_is_no_knee_where_no_step_or_the_first_one_breaks() -> None:
    strong, weak = search(most=12, p99_ms=10), search(p99_ms=1)
    for _ in range(2):
        strong.add(step(100))
    weak.add(step(100))

    assert strong.users is None
    assert weak.users is None
    assert "none up to 12 users" in strong.describe()
    assert "below 10 users" in weak.describe()
    assert [each.holds for each in (*strong.judge(), *weak.judge())] == [False, False]


def test_a_step_without_requests_breaks_the_objective() -> None:
    found = search(p99_ms=10)

    found.add(step(0))

    assert found.users is None


def test_the_rate_of_the_knee_may_be_demanded() -> None:
    found = search(error_ratio=0.01, requests_per_second=150)
    found.add(step(100))
    found.add(step(100, 50))

    assert [each.what for each in found.judge() if not each.holds] == ["knee requests_per_second"]


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_never_exceeds_its_users_and_reaches_them(name: str) -> None:
    parts = [CURVES[name](n / 100) for n in range(100)]

    assert min(parts) > 0
    assert max(parts) == 1


async def test_the_knee_of_a_limited_service_is_found_and_printed(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with service_process(
        KV_STORE_URL=redis_server.url,
        KV_STORE_TIMEOUT_MS="30000",
        KV_DRAIN_SECONDS="0",
        KV_MAX_IN_FLIGHT=str(IN_FLIGHT),
        KV_QUEUE_MS="0",
        KV_FAULT_LATENCY_MS=str(LATENCY_MS),
    ) as service:
        outcome = await run_load(
            tmp_path,
            *("--host", service.base, "--profile", "entries", "--shape", "knee"),
            *("--users", "200", *thresholds(tmp_path, "[knee]\nerror_ratio = 0.05\n")),
            *("--", "--step-seconds", "3", "--user-rate", "8", "--keys", "10"),
        )

    assert outcome.code == 0, outcome.output
    found = re.search(
        r"^knee: (\d+) users, (\d+) requests/s.*: error_ratio", outcome.output, re.MULTILINE
    )
    assert found, outcome.output
    assert 15 <= int(found[1]) <= 53
    assert int(found[2]) < MOST_RATE
    heads, *steps = (tmp_path / "knee.csv").read_text().splitlines()
    assert heads.startswith("users,")
    assert [line.split(",")[0] for line in steps[:2]] == ["10", "15"]
