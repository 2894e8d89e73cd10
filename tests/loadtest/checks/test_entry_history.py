"""The reads that the history of an entry allows."""

from __future__ import annotations

import pytest

from loadtest.checks.answers import WrongAnswer
from loadtest.checks.entry_history import EntryHistory, Write


def written(history: EntryHistory, etag: str) -> Write:
    write = history.begin_write()
    history.acknowledge(write, etag)
    return write


def test_the_last_acknowledged_write_is_found() -> None:
    history = EntryHistory()
    written(history, '"a"')
    last = written(history, '"b"')

    history.found(history.begin_read(), last.number, '"b"')


def test_a_replaced_value_is_stale() -> None:
    history = EntryHistory()
    first = written(history, '"a"')
    written(history, '"b"')

    with pytest.raises(WrongAnswer, match="stale value"):
        history.found(history.begin_read(), first.number, '"a"')


def test_a_read_that_began_before_a_write_may_find_either_value() -> None:
    history = EntryHistory()
    first = written(history, '"a"')
    read = history.begin_read()
    second = written(history, '"b"')

    history.found(read, first.number, '"a"')
    history.found(read, second.number, '"b"')


def test_either_of_two_concurrent_writes_may_be_the_last() -> None:
    history = EntryHistory()
    one, other = history.begin_write(), history.begin_write()
    history.acknowledge(other, '"b"')
    history.acknowledge(one, '"a"')

    history.found(history.begin_read(), one.number, '"a"')
    history.found(history.begin_read(), other.number, '"b"')


def test_an_unknown_write_may_be_found_at_any_time() -> None:
    history = EntryHistory()
    unknown = history.begin_write()
    written(history, '"b"')

    history.found(history.begin_read(), unknown.number, '"u"')


def test_a_refused_write_is_never_found() -> None:
    history = EntryHistory()
    written(history, '"a"')
    refused = history.begin_write()
    history.refuse(refused)

    with pytest.raises(WrongAnswer, match="stale value"):
        history.found(history.begin_read(), refused.number, '"r"')


def test_a_value_that_was_never_written_is_wrong() -> None:
    history = EntryHistory()

    with pytest.raises(WrongAnswer, match="nobody wrote"):
        history.found(history.begin_read(), 1, '"a"')


def test_an_etag_belongs_to_one_write() -> None:
    history = EntryHistory()
    write = written(history, '"a"')

    with pytest.raises(WrongAnswer, match="wrong ETag"):
        history.found(history.begin_read(), write.number, '"b"')
    with pytest.raises(WrongAnswer, match="ETag of another write"):
        written(history, '"a"')


def test_nothing_is_found_before_a_write_and_after_a_deletion_only() -> None:
    history = EntryHistory()
    history.found_nothing(history.begin_read())
    written(history, '"a"')
    with pytest.raises(WrongAnswer, match="missing entry"):
        history.found_nothing(history.begin_read())

    history.acknowledge(history.begin_write(absent=True))

    history.found_nothing(history.begin_read())


def test_an_unchanged_entry_must_have_an_allowed_etag() -> None:
    history = EntryHistory()
    written(history, '"a"')
    history.found_etag(history.begin_read(), '"a"')
    written(history, '"b"')

    with pytest.raises(WrongAnswer, match="stale ETag"):
        history.found_etag(history.begin_read(), '"a"')


def test_a_swap_of_the_current_value_is_not_refused() -> None:
    history = EntryHistory()
    written(history, '"a"')
    read, write = history.begin_read(), history.begin_write()

    with pytest.raises(WrongAnswer, match="swap refused"):
        history.refused_swap(read, write, '"a"')


def test_a_swap_may_be_refused_when_another_writes() -> None:
    history = EntryHistory()
    written(history, '"a"')
    read, write = history.begin_read(), history.begin_write()
    written(history, '"b"')

    history.refused_swap(read, write, '"a"')
