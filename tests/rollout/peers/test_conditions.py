"""Argo's conditions are read as Argo reads them."""

from __future__ import annotations

import math

import pytest

from rollout.peers.conditions import ConditionInvalid, NoValue, evaluate


@pytest.mark.parametrize(
    ("condition", "result", "holds"),
    [
        ("result[0] >= 0.95", [0.97], True),
        ("result[0] >= 0.95", [0.9], False),
        ("len(result) > 0 && result[0] > 0.005", [], False),
        ("len(result) == 0 || isNaN(result[0])", [math.nan], True),
        ("!isNaN(result[0]) && result[0] != 0", [1.0], True),
        ("default(result[0], 1) <= 0.05", [], False),
        ("asInt(result[0]) / 2 < -1 + 3", [3.0], True),
        ("false", [1.0], False),
    ],
)
def test_a_condition_holds_or_not(condition: str, result: list[float], holds: bool) -> None:
    assert evaluate(condition, result) is holds


def test_a_result_without_a_value_is_an_error() -> None:
    with pytest.raises(NoValue):
        evaluate("result[0] < 0.05", [])


@pytest.mark.parametrize(
    "condition", ["all(result, # < 1)", "result.status == 1", "open(result)", "len(result", "x > 1"]
)
def test_another_condition_is_named(condition: str) -> None:
    with pytest.raises(ConditionInvalid):
        evaluate(condition, [1.0])
