"""The format of an entry in Redis: decoded exactly, and refused if it is a later format."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svc.domain.errors import StoreCorrupt
from svc.domain.model import Draft
from svc.stores import entry_codec

NOW_MS = 1_800_000_000_123
content_types = st.from_regex(r"[!-~][ -~\t]{0,254}", fullmatch=True)
drafts = st.builds(
    Draft,
    body=st.binary(max_size=200),
    content_type=content_types,
    ttl=st.none(),
    is_json=st.booleans(),
)


def insert_times(
    draft: Draft, version: bytes = b"v" * 16, written_ms: int = NOW_MS, expires_ms: int = 0
) -> bytes:
    """Insert the two times between head and tail, as the scripts do."""
    head, tail = entry_codec.encode(draft, version)
    return b"".join((head, struct.pack(">QQ", written_ms, expires_ms), *tail))


@given(drafts, st.binary(min_size=16, max_size=16), st.integers(1, 10**12))
def test_an_entry_is_read_back_exactly(draft: Draft, version: bytes, left_ms: int) -> None:
    entry = entry_codec.decode(
        insert_times(draft, version, NOW_MS - 5000, NOW_MS + left_ms), NOW_MS
    )

    assert (entry.body, entry.content_type, entry.is_json) == (
        draft.body,
        draft.content_type,
        draft.is_json,
    )
    assert entry.etag == f'"{version.hex()}"'
    assert entry.written_seconds == (NOW_MS - 5000) // 1000
    assert entry.ttl_seconds == max(1, math.ceil(left_ms / 1000))


@given(drafts, st.integers(0, 1))
def test_a_summary_agrees_with_the_entry(draft: Draft, mortal: int) -> None:
    raw = insert_times(draft, expires_ms=mortal * (NOW_MS + 5000))

    entry = entry_codec.decode(raw, NOW_MS)
    summary = entry_codec.summarise("k", raw[: entry_codec.HEADER_BYTES], NOW_MS)

    assert (summary.key, summary.etag, summary.ttl) == ("k", entry.etag, entry.ttl_seconds)
    assert (summary.size, summary.content_type) == (len(entry.body), entry.content_type)


def test_an_entry_that_never_expires_has_no_ttl() -> None:
    assert (
        entry_codec.decode(insert_times(Draft(b"", "x", None, is_json=False)), NOW_MS).ttl_seconds
        is None
    )


@pytest.mark.parametrize(
    ("left_ms", "seconds"), [(1, 1), (999, 1), (1000, 1), (1001, 2), (0, 1), (-5000, 1)]
)
def test_what_still_exists_has_some_time_left(left_ms: int, seconds: int) -> None:
    assert entry_codec.remaining_seconds(NOW_MS + left_ms, NOW_MS) == seconds


@pytest.mark.parametrize("lag_ms", [0, 1, 5, 500])
def test_with_a_lagging_clock_the_ttl_is_not_longer_than_written(lag_ms: int) -> None:
    """The estimate of the server's clock may lag by a round trip; 60 s must not show as 61."""
    raw = insert_times(
        Draft(b"x", "x", 60, is_json=False), written_ms=NOW_MS, expires_ms=NOW_MS + 60_000
    )

    assert entry_codec.decode(raw, NOW_MS - lag_ms).ttl_seconds == 60
    assert entry_codec.summarise("k", raw, NOW_MS - lag_ms).ttl == 60


@given(st.binary(max_size=120))
@example(b"")
@example(b"\x01" + b"\0" * 37 + b"\x01\xff")
def test_any_bytes_are_an_entry_or_corrupt_and_nothing_else(raw: bytes) -> None:
    for read in (entry_codec.decode, lambda raw, now: entry_codec.summarise("k", raw, now)):
        try:
            read(raw, NOW_MS)
        except StoreCorrupt:
            continue


@given(drafts, st.data())
def test_an_entry_that_lost_or_gained_bytes_is_corrupt(draft: Draft, data: st.DataObject) -> None:
    raw = insert_times(draft)
    cut = data.draw(st.integers(0, len(raw) - 1))

    for damaged in (raw[:cut], raw + b"x"):
        with pytest.raises(StoreCorrupt):
            entry_codec.decode(damaged, NOW_MS)


@pytest.mark.parametrize("form", [2, 3, 255])
def test_a_later_format_is_refused_by_its_number(form: int) -> None:
    raw = bytes([form]) + insert_times(Draft(b"x", "text/plain", None, is_json=False))[1:]

    for read in (entry_codec.decode, lambda raw, now: entry_codec.summarise("k", raw, now)):
        with pytest.raises(StoreCorrupt, match=f"format {form}"):
            read(raw, NOW_MS)


def test_a_format_before_the_first_is_no_entry() -> None:
    raw = b"\0" + insert_times(Draft(b"x", "text/plain", None, is_json=False))[1:]

    with pytest.raises(StoreCorrupt, match="something else"):
        entry_codec.decode(raw, NOW_MS)


def test_format_1_is_as_written_down() -> None:
    """Canary and stable share one Redis, so a change of the layout needs a new format number."""
    raw = insert_times(Draft(b"body", "text/plain", None, is_json=True), b"0123456789abcdef", 1, 2)

    assert raw == (
        b"\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x020123456789abcdef\0\0\0\x04\x0atext/plainbody"
    )


def test_versions_never_repeat_within_or_across_processes() -> None:
    one, other = entry_codec.Versions(), entry_codec.Versions()

    made = [each.next() for _ in range(1000) for each in (one, other)]

    assert len(set(made)) == 2000
    assert {len(version) for version in made} == {16}


@given(st.binary(min_size=16, max_size=16))
def test_an_etag_names_its_version(version: bytes) -> None:
    assert entry_codec.version_of(entry_codec.etag_of(version)) == version


@given(st.text(max_size=40))
@example('"' + "A" * 32 + '"')
@example('"' + "a " * 16 + '"')
@example('W/"' + "a" * 32 + '"')
@example('"' + "0" * 31 + '"')
def test_no_other_text_is_an_etag_of_ours(text: str) -> None:
    version = entry_codec.version_of(text)

    assert version is None or entry_codec.etag_of(version) == text
