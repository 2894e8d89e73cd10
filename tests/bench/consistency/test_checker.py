"""Each planted violation is found, with its kind and number, and no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bench.consistency.checker import FinalState, Verdict, check
from bench.consistency.history import CounterHistory, History
from tests.bench.consistency.histories import KEY, a, cas, check_entry, failed_cas, read, write


def check_counter(counter: CounterHistory, value: int) -> Verdict:
    return check(History(counters={"n": counter}), FinalState({"n": value}, {}))


def answered(*values: int, unknown: int = 0, keyed: bool = False) -> CounterHistory:
    return CounterHistory(keyed, len(values), unknown, Counter(values))


def found(verdict: Verdict) -> dict[str, int]:
    names = ("lost", "duplicated", "unexpected", "nonlinearizable")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_complete_increments_are_right() -> None:
    assert found(check_counter(answered(1, 2, 3), 3)) == {}


def test_unknown_increments_may_be_applied_or_not() -> None:
    for value in (3, 4, 5):
        assert found(check_counter(answered(1, 2, 3, unknown=2), value)) == {}


def test_a_lost_increment_is_found() -> None:
    assert found(check_counter(answered(1, 2, 3, unknown=1), 2)) == {"lost": 1}


def test_a_duplicated_increment_is_found() -> None:
    assert found(check_counter(answered(1, 2, 3, unknown=1), 5)) == {"duplicated": 1}
    assert found(check_counter(answered(1, 2, 3, keyed=True), 4)) == {"duplicated": 1}


def test_a_missing_counter_has_lost_all_increments() -> None:
    verdict = check(History(counters={"n": answered(1, 2)}), FinalState({}, {}))

    assert found(verdict) == {"lost": 2}


def test_two_increments_with_the_same_answer_are_found() -> None:
    assert found(check_counter(answered(1, 2, 2, 3), 4)) == {"nonlinearizable": 1}


def test_an_acknowledged_write_is_present_or_replaced() -> None:
    assert found(check_entry(write(0, 1, a(1)), ends_with=a(1))) == {}
    assert found(check_entry(write(0, 1, a(1)), write(2, None, a(2)), ends_with=a(2))) == {}


def test_a_lost_write_is_found() -> None:
    writes = [write(0, 1, a(1)), write(2, 3, a(2)), write(4, 5, a(3))]

    assert found(check_entry(*writes, ends_with=a(1))) == {"lost": 2}
    assert found(check_entry(*writes, ends_with=None)) == {"lost": 3}


def test_an_unknown_write_may_be_the_last_one() -> None:
    assert found(check_entry(write(0, None, a(1)), ends_with=a(1))) == {}


def test_a_stale_read_is_found_though_the_final_state_is_right() -> None:
    history = [write(0, 1, a(1)), write(2, 3, a(2)), read(4, 5, a(1))]

    assert found(check_entry(*history, ends_with=a(2))) == {"nonlinearizable": 1}


def test_two_winners_of_one_swap_are_found() -> None:
    history = [write(0, 1, a(1)), cas(2, 5, a(1), a(2)), cas(3, 6, a(1), a(3))]

    assert "nonlinearizable" in found(check_entry(*history, ends_with=a(3)))


def test_a_value_of_another_key_is_found() -> None:
    violations = found(check_entry(write(0, 1, a(1)), read(2, 3, "other|w|1"), ends_with=a(1)))

    assert violations["unexpected"] == 1


def test_a_refused_write_that_was_applied_is_found() -> None:
    history = History(entries={KEY: [write(0, 1, a(1))]}, refused={a(2)})

    assert found(check(history, FinalState({}, {KEY: a(2)})))["unexpected"] == 1


def test_an_answer_that_no_fault_excuses_is_found() -> None:
    verdict = check(History(unexpected=["GET /: 500"]), FinalState({}, {}))

    assert found(verdict) == {"unexpected": 1}
    assert verdict.reasons == ["GET /: 500"]


def test_the_etag_of_a_failed_swap_stands_for_the_value_that_others_read() -> None:
    """The answer to the failed swap has an ETag. Only a later read shows its value."""
    for value, verdict in ((a(2), {}), (a(1), {"nonlinearizable": 1})):
        failed = replace(failed_cas(4, 5, a(9)), etag='"e"')
        operations = [write(0, 1, a(1)), write(2, 3, a(2)), read(8, 9, a(2)), failed]
        history = History(entries={KEY: operations}, values={'"e"': value})

        assert found(check(history, FinalState({}, {KEY: a(2)}))) == verdict


def test_reasons_describe_the_violation() -> None:
    reasons: Iterable[str] = check_counter(answered(1, 2, 3), 2).reasons

    assert list(reasons) == ["n holds 2, after 3 acknowledged and 0 unknown increments"]
