"""Small histories whose linearizability is known, and planted violations."""

from __future__ import annotations

import itertools
import random

import pytest

from bench.consistency import linearizability
from bench.consistency.linearizability import Operation, Undecided, is_linearizable
from tests.bench.consistency.histories import a, cas, failed_cas, read, write


def test_operations_one_after_the_other_are_linearizable() -> None:
    assert is_linearizable([read(0, 1, None), write(2, 3, a(1)), read(4, 5, a(1))])


def test_a_stale_read_is_caught() -> None:
    assert not is_linearizable([write(0, 1, a(1)), write(2, 3, a(2)), read(4, 5, a(1))])


def test_a_read_beside_a_write_may_see_either() -> None:
    for seen in (None, a(1)):
        assert is_linearizable([write(0, 3, a(1)), read(1, 2, seen)])


def test_two_reads_may_not_go_back_in_time() -> None:
    both = [write(0, 9, a(1)), read(1, 2, a(1)), read(3, 4, None)]

    assert not is_linearizable(both)


def test_of_two_swaps_of_the_same_value_only_one_succeeds() -> None:
    begin = [write(0, 1, a(1)), cas(2, 5, a(1), a(2))]

    assert is_linearizable([*begin, failed_cas(3, 6, a(1), a(2))])
    assert not is_linearizable([*begin, cas(3, 6, a(1), a(3))])


def test_a_swap_that_fails_without_a_concurrent_write_is_caught() -> None:
    assert not is_linearizable([write(0, 1, a(1)), failed_cas(2, 3, a(1))])


def test_a_failed_swap_must_return_the_value_that_was_there() -> None:
    writes = [write(0, 1, a(1)), write(2, 3, a(2))]

    assert is_linearizable([*writes, failed_cas(4, 5, a(1), a(2))])
    assert not is_linearizable([*writes, failed_cas(4, 5, a(1), a(3))])


def test_a_read_of_what_nobody_wrote_is_caught() -> None:
    assert not is_linearizable([write(0, 1, a(1)), read(2, 3, a(2))])


@pytest.mark.parametrize("seen", [a(1), a(2)])
def test_an_unknown_write_happens_late_or_never(seen: str) -> None:
    assert is_linearizable([write(0, 1, a(1)), write(2, None, a(2)), read(8, 9, seen)])


def test_an_unknown_write_happens_once_at_most() -> None:
    history = [write(0, None, a(1)), read(1, 2, a(1)), write(3, 4, a(2)), read(5, 6, a(2))]

    assert is_linearizable(history)
    assert not is_linearizable([*history, read(7, 8, a(1))])


def test_an_unknown_write_does_not_happen_before_its_call() -> None:
    assert not is_linearizable([read(0, 1, a(1)), write(2, None, a(1))])


def test_an_unknown_write_may_explain_a_failed_swap_without_a_value() -> None:
    assert is_linearizable([write(0, 1, a(1)), write(2, None, a(2)), failed_cas(3, 4, a(1))])


def test_many_unknown_writes_do_not_take_forever() -> None:
    unknown = [write(i, None, a(i)) for i in range(200)]
    known = [write(1000 + i, 1001 + i, a(1000 + i)) for i in range(100)]

    assert is_linearizable([*unknown, *known, read(2000, 2001, a(7))])


def test_a_check_with_too_many_steps_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linearizability, "MAX_STEPS", 10_000)
    writes = [write(0, 100, a(i)) for i in range(25)]

    with pytest.raises(Undecided):
        is_linearizable([*writes, read(200, 201, None)])


def test_the_history_of_a_register_is_linearizable_and_a_changed_one_is_not() -> None:
    """Random overlapping histories of a true register, and the same with one answer changed."""
    draw = random.Random(1)
    caught = 0
    for _ in range(200):
        history = true_history(draw)
        assert is_linearizable(history)
        reads = [i for i, operation in enumerate(history) if operation.kind == "read"]
        changed = draw.choice(reads)
        history[changed] = read(history[changed].called, history[changed].returned, a(-1))
        caught += not is_linearizable(history)
    assert caught == 200


def true_history(draw: random.Random) -> list[Operation]:
    """Let some clients use a register. Each operation takes effect between call and return."""
    moments = sorted(draw.uniform(0, 10) for _ in range(20))
    numbers = itertools.count(1)
    value: str | None = None
    history: list[Operation] = [read(0, 0, None)]
    for moment in moments:
        called, returned = moment - draw.random(), moment + draw.random()
        kind = draw.choice(["read", "write", "cas", "unknown"])
        if kind == "read":
            history.append(read(called, returned, value))
            continue
        fresh = a(next(numbers))
        if kind == "cas":
            history.append(cas(called, returned, value, fresh))
        elif kind == "write":
            history.append(write(called, returned, fresh))
        else:
            history.append(write(called, None, fresh))
            if draw.random() < 0.5:
                continue
        value = fresh
    return history
