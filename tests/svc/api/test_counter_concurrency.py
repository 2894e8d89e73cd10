"""Concurrent increments: the responses are the values of one sequential history."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.svc.api.client import Answer, Api, problem
from tests.svc.contract.history import is_one_history

LOWEST, HIGHEST = -(2**63), 2**63 - 1


async def value(api: Api) -> int:
    return int((await api.get("/v1/counters/c")).json()["value_text"])


async def start_at(api: Api, value: int) -> None:
    await api.put("/v1/counters/c", json={"value": value})


async def step_all(apis: Sequence[Api], steps: Sequence[dict[str, Any]]) -> list[Answer]:
    return list(
        await asyncio.gather(
            *(apis[i % len(apis)].step("c", **step) for i, step in enumerate(steps))
        )
    )


def moves_of(answers: Iterable[Answer]) -> list[tuple[int, int]]:
    said = [answer.json() for answer in answers if answer.status == 200]
    assert all(step["value_text"] == str(step["value"]) for step in said)
    assert all(LOWEST <= step["value"] <= HIGHEST for step in said)
    return [(step["value"] - step["applied_by"], step["value"]) for step in said]


def test_a_history_is_recognised() -> None:
    assert is_one_history([(0, 2), (2, 5), (5, 0), (0, 1)], 0, 1)
    assert not is_one_history([(0, 2), (0, 2)], 0, 4)
    assert not is_one_history([(0, 2), (3, 5)], 0, 5)
    assert not is_one_history([(0, 1), (7, 8), (8, 7)], 0, 1)


async def test_n_steps_by_one_answer_with_one_to_n(api: Api) -> None:
    answers = await step_all([api], [{}] * 120)

    assert sorted(answer.json()["value"] for answer in answers) == list(range(1, 121))
    assert await value(api) == 120


async def test_two_pods_count_as_one(pods: tuple[Api, Api]) -> None:
    answers = await step_all(pods, [{}] * 120)

    assert sorted(answer.json()["value"] for answer in answers) == list(range(1, 121))


async def test_steps_of_mixed_sizes_answer_with_running_sums(api: Api) -> None:
    sizes = [1 + 37 * i % 1000 for i in range(120)]

    answers = await step_all([api], [{"by": size} for size in sizes])

    assert [answer.json()["applied_by"] for answer in answers] == sizes
    assert is_one_history(moves_of(answers), 0, sum(sizes))
    assert await value(api) == sum(sizes)


@pytest.mark.parametrize("start", [0, 2**53, HIGHEST - 100_000, LOWEST + 100_000])
async def test_steps_in_both_directions_are_one_history(pods: tuple[Api, Api], start: int) -> None:
    sizes = [(1 + 37 * i % 500) * (-1) ** (i // 3) for i in range(120)]
    await start_at(pods[0], start)

    answers = await step_all(pods, [{"by": size} for size in sizes])

    assert {answer.status for answer in answers} == {200}
    assert is_one_history(moves_of(answers), start, start + sum(sizes))
    assert await value(pods[0]) == start + sum(sizes)


async def test_steps_of_every_kind_are_one_history(pods: tuple[Api, Api]) -> None:
    steps: list[dict[str, Any]] = [
        {
            "by": (i % 7 - 2),
            **({"min": -(10**6), "max": 10**6} if i % 3 == 0 else {}),
            **({"ttl": 60} if i % 4 == 0 else {}),
            **({"headers": {"Idempotency-Key": f"k{i}"}} if i % 5 == 0 else {}),
        }
        for i in range(120)
    ]

    answers = await step_all(pods, steps)

    total = sum(step["by"] for step in steps)
    assert is_one_history(moves_of(answers), 0, total)
    assert await value(pods[0]) == total


@pytest.mark.parametrize(("edge", "sign"), [(HIGHEST, 1), (LOWEST, -1)])
async def test_near_the_edge_some_overflow_and_none_is_wrong(
    api: Api, edge: int, sign: int
) -> None:
    start = edge - sign * 1000
    await start_at(api, start)

    answers = await step_all([api], [{"by": sign * (1 + 7 * i % 90)} for i in range(100)])

    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    for answer in refused:
        problem(answer, 409, "counter_overflow")
    end = await value(api)
    assert is_one_history(moves_of(answers), start, end)
    assert abs(edge - end) < 90


@pytest.mark.parametrize("edge", [HIGHEST, LOWEST])
async def test_steps_that_cancel_out_pass_no_edge_on_the_way(api: Api, edge: int) -> None:
    start = edge - 5 if edge > 0 else edge + 5
    await start_at(api, start)

    answers = await step_all([api], [{"by": 10 * (-1) ** i} for i in range(40)])

    assert is_one_history(moves_of(answers), start, await value(api))
    assert 200 in {answer.status for answer in answers}


async def test_steps_whose_sum_alone_would_overflow_are_judged_one_by_one(api: Api) -> None:
    await start_at(api, -10)

    answers = await step_all([api], [{"by": HIGHEST}, {"by": HIGHEST}, {"by": 1}, {"by": HIGHEST}])

    assert [a.status for a in answers].count(409) == 2
    assert is_one_history(moves_of(answers), -10, await value(api))


async def test_a_bound_holds_against_all_who_step_at_once(pods: tuple[Api, Api]) -> None:
    answers = await step_all(pods, [{"max": 10}] * 100)

    assert Counter(answer.status for answer in answers) == {200: 10, 409: 90}
    assert is_one_history(moves_of(answers), 0, 10)


async def test_clamped_steps_at_once_apply_exactly_the_room_there_is(
    pods: tuple[Api, Api],
) -> None:
    answers = await step_all(pods, [{"by": 3, "max": 100, "on_bound": "clamp"}] * 60)

    assert sum(answer.json()["applied_by"] for answer in answers) == 100
    assert await value(pods[0]) == 100


async def test_one_counter_never_disturbs_another(api: Api) -> None:
    await api.put("/v1/counters/full", json={"value": HIGHEST})
    rng = random.Random(7)
    names = [f"n{i % 9}" for i in range(90)] + ["full"] * 10
    rng.shuffle(names)

    answers = await asyncio.gather(*(api.step(name) for name in names))

    by_name: dict[str, list[Answer]] = {}
    for name, answer in zip(names, answers, strict=True):
        by_name.setdefault(name, []).append(answer)
    for answer in by_name.pop("full"):
        problem(answer, 409, "counter_overflow")
    for group in by_name.values():
        assert sorted(a.json()["value"] for a in group) == list(range(1, 11))


@given(
    start=st.sampled_from([0, 2**53 - 2, HIGHEST - 3, LOWEST + 3, HIGHEST // 2]),
    sizes=st.lists(
        st.one_of(
            st.integers(-5, 5), st.integers(LOWEST, HIGHEST), st.sampled_from([LOWEST, HIGHEST])
        ),
        min_size=1,
        max_size=12,
    ),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_the_steps_the_answers_are_one_history(
    api: Api, start: int, sizes: list[int]
) -> None:
    await start_at(api, start)

    answers = await step_all([api], [{"by": size} for size in sizes])

    end = await value(api)
    moves = moves_of(answers)
    assert is_one_history(moves, start, end)
    values = {start, *(after for _, after in moves)}
    for size, answer in zip(sizes, answers, strict=True):
        if answer.status != 200:
            problem(answer, 409, "counter_overflow")
            assert any(not LOWEST <= seen + size <= HIGHEST for seen in values)
