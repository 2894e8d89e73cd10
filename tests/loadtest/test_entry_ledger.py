"""Which reads a ledger of writes allows, and which it calls wrong."""

from __future__ import annotations

import pytest

from loadtest.checks import WrongAnswer
from loadtest.ledgers.entries import KeyHistory, Write


def written(history: KeyHistory, etag: str) -> Write:
    write = history.begin_write()
    history.acknowledge(write, etag)
    return write


def test_what_was_acknowledged_last_is_found() -> None:
    history = KeyHistory()
    written(history, '"a"')
    last = written(history, '"b"')

    history.found(history.begin_read(), last.number, '"b"')


def test_what_was_replaced_is_stale() -> None:
    history = KeyHistory()
    first = written(history, '"a"')
    written(history, '"b"')

    with pytest.raises(WrongAnswer, match="stale value"):
        history.found(history.begin_read(), first.number, '"a"')


def test_a_read_that_began_before_may_find_either() -> None:
    history = KeyHistory()
    first = written(history, '"a"')
    read = history.begin_read()
    second = written(history, '"b"')

    history.found(read, first.number, '"a"')
    history.found(read, second.number, '"b"')


def test_of_overlapping_writes_either_may_be_the_last() -> None:
    history = KeyHistory()
    one, other = history.begin_write(), history.begin_write()
    history.acknowledge(other, '"b"')
    history.acknowledge(one, '"a"')

    history.found(history.begin_read(), one.number, '"a"')
    history.found(history.begin_read(), other.number, '"b"')


def test_a_write_of_which_nobody_knows_may_be_found_whenever() -> None:
    history = KeyHistory()
    unknown = history.begin_write()
    written(history, '"b"')

    history.found(history.begin_read(), unknown.number, '"u"')


def test_a_refused_write_is_never_found() -> None:
    history = KeyHistory()
    written(history, '"a"')
    refused = history.begin_write()
    history.refuse(refused)

    with pytest.raises(WrongAnswer, match="stale value"):
        history.found(history.begin_read(), refused.number, '"r"')


def test_a_value_from_nowhere_is_wrong() -> None:
    history = KeyHistory()

    with pytest.raises(WrongAnswer, match="nobody wrote"):
        history.found(history.begin_read(), 1, '"a"')


def test_an_etag_belongs_to_one_write() -> None:
    history = KeyHistory()
    write = written(history, '"a"')

    with pytest.raises(WrongAnswer, match="wrong ETag"):
        history.found(history.begin_read(), write.number, '"b"')
    with pytest.raises(WrongAnswer, match="ETag of another write"):
        written(history, '"a"')


def test_nothing_is_found_before_a_write_and_after_a_deletion_only() -> None:
    history = KeyHistory()
    history.found_nothing(history.begin_read())
    written(history, '"a"')
    with pytest.raises(WrongAnswer, match="missing entry"):
        history.found_nothing(history.begin_read())

    history.acknowledge(history.begin_write(absent=True))

    history.found_nothing(history.begin_read())


def test_an_unchanged_entry_is_one_that_may_be_there() -> None:
    history = KeyHistory()
    written(history, '"a"')
    history.found_etag(history.begin_read(), '"a"')
    written(history, '"b"')

    with pytest.raises(WrongAnswer, match="stale ETag"):
        history.found_etag(history.begin_read(), '"a"')


def test_a_swap_of_what_is_there_is_not_refused() -> None:
    history = KeyHistory()
    written(history, '"a"')
    read, write = history.begin_read(), history.begin_write()

    with pytest.raises(WrongAnswer, match="swap refused"):
        history.refused_swap(read, write, '"a"')


def test_a_swap_may_be_refused_when_another_writes() -> None:
    history = KeyHistory()
    written(history, '"a"')
    read, write = history.begin_read(), history.begin_write()
    written(history, '"b"')

    history.refused_swap(read, write, '"a"')
