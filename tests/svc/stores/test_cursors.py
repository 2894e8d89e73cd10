"""Cursors: opaque to clients, decoded exactly, and refused if invalid."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svc.domain.errors import CursorInvalid
from svc.stores.listing import Cursor, parse_cursor, render_cursor

cursors = st.builds(
    Cursor,
    node=st.integers(0, 1000),
    run_id=st.text("0123456789abcdef", max_size=40),
    position=st.integers(0, 2**64 - 1),
    pattern=st.binary(max_size=20),
    returned=st.lists(st.binary(min_size=8, max_size=8), max_size=5).map(tuple),
)


@given(cursors)
def test_a_cursor_is_read_back_exactly(cursor: Cursor) -> None:
    text = render_cursor(cursor)

    assert parse_cursor(text, cursor.pattern) == cursor
    assert text.isascii()
    assert "=" not in text


@given(cursors, st.binary(max_size=5))
def test_a_cursor_serves_its_own_listing_only(cursor: Cursor, pattern: bytes) -> None:
    if pattern == cursor.pattern:
        return

    with pytest.raises(CursorInvalid):
        parse_cursor(render_cursor(cursor), pattern)


def test_no_cursor_is_the_beginning() -> None:
    assert parse_cursor(None, b"kv:a*") == Cursor(pattern=b"kv:a*")


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).decode()


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40).map(packed)))
@example("")
@example("é")
@example("====")
@example(packed(None))
@example(packed({}))
@example(packed([0, "", -1, b""]))
@example(packed([-1, "", 0, b""]))
@example(packed([0, "", 0, b"", ["text"]]))
@example(packed([0.5, "", 0, b""]))
def test_any_other_text_is_refused_or_harmless(text: str) -> None:
    try:
        cursor = parse_cursor(text, b"")
    except CursorInvalid:
        return

    assert cursor.pattern == b""
    assert cursor.node >= 0
    assert 0 <= cursor.position < 2**64
