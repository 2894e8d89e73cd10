"""The values that the history of a counter allows."""

from __future__ import annotations

import pytest

from loadtest.checks.answers import WrongAnswer
from loadtest.checks.counter_history import CounterHistory


def incremented(history: CounterHistory, by: int, value: int) -> None:
    history.acknowledge(history.begin(by), value)


def test_concurrent_increments_are_answered_in_any_order() -> None:
    history = CounterHistory()
    one, other = history.begin(2), history.begin(3)

    history.acknowledge(other, 5)
    history.acknowledge(one, 2)

    assert history.settled
    history.found(history.begin_read(), 5)


def test_a_sum_without_an_acknowledged_increment_has_lost_it() -> None:
    history = CounterHistory()
    incremented(history, 5, 5)

    with pytest.raises(WrongAnswer, match="lost increment"):
        incremented(history, 1, 5)


def test_a_sum_above_all_increments_has_counted_one_twice() -> None:
    history = CounterHistory()

    with pytest.raises(WrongAnswer, match="doubled increment"):
        incremented(history, 1, 2)


def test_two_increments_never_have_the_same_answer() -> None:
    history = CounterHistory()
    one, other = history.begin(1), history.begin(1)
    history.acknowledge(one, 1)

    with pytest.raises(WrongAnswer, match="lost increment"):
        history.acknowledge(other, 1)


@pytest.mark.parametrize("value", [5, 7])
def test_an_unknown_increment_may_be_in_the_value_or_not(value: int) -> None:
    history = CounterHistory()
    incremented(history, 5, 5)
    history.begin(2)

    history.found(history.begin_read(), value)


@pytest.mark.parametrize(("value", "why"), [(4, "lost"), (8, "doubled")])
def test_any_other_value_is_wrong(value: int, why: str) -> None:
    history = CounterHistory()
    incremented(history, 5, 5)
    history.begin(2)

    with pytest.raises(WrongAnswer, match=why):
        history.found(history.begin_read(), value)


def test_a_refused_increment_is_in_no_value() -> None:
    history = CounterHistory()
    history.refuse(history.begin(2))

    history.found_nothing(history.begin_read())
    with pytest.raises(WrongAnswer, match="doubled"):
        history.found(history.begin_read(), 2)


def test_an_acknowledged_counter_exists() -> None:
    history = CounterHistory()
    incremented(history, 1, 1)

    with pytest.raises(WrongAnswer, match="missing counter"):
        history.found_nothing(history.begin_read())
