"""Planted violations: each is found, by its name and number, and nothing else is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bench.consistency.checker import Final, Verdict, check
from bench.consistency.history import History, Tally
from tests.bench.consistency.histories import KEY, a, judge, miss, read, swap, write


def count(tally: Tally, value: int) -> Verdict:
    return check(History(tallies={"n": tally}), Final({"n": value}, {}))


def told(*values: int, unknown: int = 0, keyed: bool = False) -> Tally:
    return Tally(keyed, len(values), unknown, Counter(values))


def found(verdict: Verdict) -> dict[str, int]:
    names = ("lost", "duplicated", "crossed", "torn")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_steps_that_are_all_there_are_right() -> None:
    assert found(count(told(1, 2, 3), 3)) == {}


def test_unknown_steps_may_be_there_or_not() -> None:
    for value in (3, 4, 5):
        assert found(count(told(1, 2, 3, unknown=2), value)) == {}


def test_a_lost_step_is_found() -> None:
    assert found(count(told(1, 2, 3, unknown=1), 2)) == {"lost": 1}


def test_a_doubled_step_is_found() -> None:
    assert found(count(told(1, 2, 3, unknown=1), 5)) == {"duplicated": 1}
    assert found(count(told(1, 2, 3, keyed=True), 4)) == {"duplicated": 1}


def test_a_counter_that_is_gone_has_lost_all() -> None:
    verdict = check(History(tallies={"n": told(1, 2)}), Final({}, {}))

    assert found(verdict) == {"lost": 2}


def test_two_steps_that_were_told_the_same_value_are_found() -> None:
    assert found(count(told(1, 2, 2, 3), 4)) == {"torn": 1}


def test_an_acknowledged_write_is_there_or_replaced() -> None:
    assert found(judge(write(0, 1, a(1)), ends_with=a(1))) == {}
    assert found(judge(write(0, 1, a(1)), write(2, None, a(2)), ends_with=a(2))) == {}


def test_a_lost_write_is_found() -> None:
    writes = [write(0, 1, a(1)), write(2, 3, a(2)), write(4, 5, a(3))]

    assert found(judge(*writes, ends_with=a(1))) == {"lost": 2}
    assert found(judge(*writes, ends_with=None)) == {"lost": 3}


def test_an_unknown_write_after_which_all_was_silent_may_be_what_is_left() -> None:
    assert found(judge(write(0, None, a(1)), ends_with=a(1))) == {}


def test_a_stale_read_is_found_though_all_is_well_in_the_end() -> None:
    history = [write(0, 1, a(1)), write(2, 3, a(2)), read(4, 5, a(1))]

    assert found(judge(*history, ends_with=a(2))) == {"torn": 1}


def test_two_winners_of_one_swap_are_found() -> None:
    history = [write(0, 1, a(1)), swap(2, 5, a(1), a(2)), swap(3, 6, a(1), a(3))]

    assert "torn" in found(judge(*history, ends_with=a(3)))


def test_a_value_under_a_foreign_key_is_found() -> None:
    crossed = found(judge(write(0, 1, a(1)), read(2, 3, "other|w|1"), ends_with=a(1)))

    assert crossed["crossed"] == 1


def test_a_write_that_was_refused_and_made_all_the_same_is_found() -> None:
    history = History(refused={a(2)})
    history.saw(KEY, write(0, 1, a(1)))

    assert found(check(history, Final({}, {KEY: a(2)})))["crossed"] == 1


def test_an_answer_that_no_fault_excuses_is_found() -> None:
    verdict = check(History(wrong=["GET /: 500"]), Final({}, {}))

    assert found(verdict) == {"crossed": 1}
    assert verdict.reasons == ["GET /: 500"]


def test_a_refusals_etag_is_told_by_what_others_saw() -> None:
    """The refused one was told an ETag whose value only a later reader learned."""
    for value, verdict in ((a(2), {}), (a(1), {"torn": 1})):
        history = History(etags={'"e"': value})
        for access in (write(0, 1, a(1)), write(2, 3, a(2)), read(8, 9, a(2))):
            history.saw(KEY, access)
        history.saw(KEY, miss(4, 5, a(9)), '"e"')

        assert found(check(history, Final({}, {KEY: a(2)}))) == verdict


def test_reasons_name_what_is_wrong() -> None:
    reasons: Iterable[str] = count(told(1, 2, 3), 2).reasons

    assert list(reasons) == ["n holds 2, of 3 acknowledged and 0 unknown steps"]
