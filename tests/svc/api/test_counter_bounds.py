"""Bounds of a counter: an increment that would pass one is refused, or clamped to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Api, counter, left_ms, problem

LOWEST, HIGHEST = -(2**63), 2**63 - 1


async def start(api: Api, value: int) -> None:
    await api.put("/v1/counters/c", json={"value": value})


async def value(api: Api) -> int:
    return int((await api.get("/v1/counters/c")).json()["value_text"])


CROSSINGS: list[tuple[int, int, dict[str, int], int]] = [
    # value before, increment, bounds, value after a clamped increment
    (8, 3, {"max": 10}, 10),
    (10, 1, {"max": 10}, 10),
    (2, -3, {"min": 0}, 0),
    (0, -1, {"min": 0}, 0),
    (-8, 20, {"min": -10, "max": 10}, 10),
    (8, -20, {"min": -10, "max": 10}, -10),
    (99, 2, {"max": 100}, 100),
    (9, 2, {"max": 10}, 10),
    (-99, -2, {"min": -100}, -100),
    (-5, 10, {"max": -1}, -1),
    (5, -10, {"min": 1}, 1),
    (2**53, 2, {"max": 2**53 + 1}, 2**53 + 1),
    (-(2**53), -2, {"min": -(2**53) - 1}, -(2**53) - 1),
    (HIGHEST - 1, 5, {"max": HIGHEST}, HIGHEST),
    (LOWEST + 1, -5, {"min": LOWEST}, LOWEST),
    (HIGHEST - 5, HIGHEST, {"max": HIGHEST - 2}, HIGHEST - 2),
    (LOWEST + 5, LOWEST, {"min": LOWEST + 2}, LOWEST + 2),
]


@pytest.mark.parametrize(("before", "by", "bounds", "_end"), CROSSINGS)
@pytest.mark.parametrize("how", [{}, {"on_bound": "reject"}])
async def test_a_step_past_a_bound_is_refused_and_changes_nothing(
    api: Api, before: int, by: int, bounds: dict[str, int], _end: int, how: dict[str, str]
) -> None:
    await start(api, before)

    said = problem(await api.step("c", by=by, **bounds, **how), 409, "counter_bound")

    assert (said["applied"], said["retryable"]) == ("no", False)
    assert await value(api) == before


@pytest.mark.parametrize(("before", "by", "bounds", "end"), CROSSINGS)
async def test_a_clamped_step_stops_at_the_bound(
    api: Api, before: int, by: int, bounds: dict[str, int], end: int
) -> None:
    await start(api, before)

    answer = await api.step("c", by=by, on_bound="clamp", **bounds)

    assert answer.json() == {
        "name": "c",
        "value": end,
        "value_text": str(end),
        "applied_by": end - before,
    }
    assert await value(api) == end


@pytest.mark.parametrize(
    ("before", "by", "bounds"),
    [
        (8, 2, {"max": 10}),
        (2, -2, {"min": 0}),
        (5, 0, {"min": 5, "max": 5}),
        (9, 1, {"max": 10}),
        (-10, 5, {"max": -5}),
        (2**53, 1, {"max": 2**53 + 1}),
        (HIGHEST - 1, 1, {"max": HIGHEST}),
        (LOWEST + 1, -1, {"min": LOWEST}),
    ],
)
@pytest.mark.parametrize("on_bound", ["reject", "clamp"])
async def test_a_step_up_to_a_bound_is_taken_whole(
    api: Api, before: int, by: int, bounds: dict[str, int], on_bound: str
) -> None:
    await start(api, before)

    answer = await api.step("c", by=by, on_bound=on_bound, **bounds)

    assert (answer.status, answer.json()["applied_by"]) == (200, by)
    assert await value(api) == before + by


@pytest.mark.parametrize(
    ("before", "by", "bounds"),
    [(20, -1, {"max": 10}), (-20, 1, {"min": -10}), (20, 0, {"max": 10}), (-20, 0, {"min": 0})],
)
async def test_a_step_back_from_beyond_a_bound_is_taken(
    api: Api, before: int, by: int, bounds: dict[str, int]
) -> None:
    await start(api, before)

    assert (await api.step("c", by=by, **bounds)).json()["value"] == before + by


@pytest.mark.parametrize(
    ("before", "by", "bounds"), [(20, 1, {"max": 10}), (-20, -1, {"min": -10})]
)
async def test_a_step_further_beyond_a_bound_is_not_taken(
    api: Api, before: int, by: int, bounds: dict[str, int]
) -> None:
    await start(api, before)

    problem(await api.step("c", by=by, **bounds), 409, "counter_bound")
    clamped = await api.step("c", by=by, on_bound="clamp", **bounds)

    assert (clamped.json()["value"], clamped.json()["applied_by"]) == (before, 0)


@pytest.mark.parametrize(
    ("before", "by", "bounds"),
    [(HIGHEST, 1, {"min": 0}), (LOWEST, -1, {"max": 0})],
)
@pytest.mark.parametrize("on_bound", ["reject", "clamp"])
async def test_an_overflow_where_no_bound_stands_is_an_overflow(
    api: Api, before: int, by: int, bounds: dict[str, int], on_bound: str
) -> None:
    await start(api, before)

    problem(await api.step("c", by=by, on_bound=on_bound, **bounds), 409, "counter_overflow")
    assert await value(api) == before


@pytest.mark.parametrize(("by", "bounds"), [(11, {"max": 10}), (-1, {"min": 0})])
async def test_a_refused_first_step_makes_no_counter(
    api: Api, by: int, bounds: dict[str, int]
) -> None:
    problem(await api.step("c", by=by, ttl=60, **bounds), 409, "counter_bound")
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


async def test_a_clamped_first_step_makes_the_counter(api: Api, backend: Backend) -> None:
    answer = await api.step("c", by=11, max=10, on_bound="clamp", ttl=60)

    assert (answer.json()["value"], answer.json()["applied_by"]) == (10, 10)
    assert 30_000 <= left_ms(backend, counter("c")) <= 60_000


@pytest.mark.parametrize("on_bound", ["reject", "clamp"])
async def test_a_bounded_step_keeps_the_ttl(api: Api, backend: Backend, on_bound: str) -> None:
    await api.put("/v1/counters/c", json={"value": 9, "ttl": 60})

    await api.step("c", by=5, max=10, on_bound=on_bound)

    assert 30_000 <= left_ms(backend, counter("c")) <= 60_000


async def test_bounds_that_leave_no_room_are_refused_by_name(api: Api) -> None:
    said = problem(await api.step("c", min=2, max=1), 400, "body_invalid")

    assert "min" in said["detail"]


@pytest.mark.parametrize("key", [None, "once"])
async def test_a_bound_means_the_same_under_an_idempotency_key(api: Api, key: str | None) -> None:
    headers: dict[str, Any] = {} if key is None else {"Idempotency-Key": key}
    await start(api, 9)

    answer = await api.step("c", by=5, max=10, on_bound="clamp", headers=headers)

    assert (answer.json()["value"], answer.json()["applied_by"]) == (10, 1)
