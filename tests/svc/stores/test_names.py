"""Properties of the names of entries, counters and operation records in Redis."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from svc.domain.model import CounterName, Key
from svc.stores.names import (
    claim_name,
    counter_name,
    counter_pattern,
    entry_name,
    entry_pattern,
    member_beside_claim,
    operation_name,
    slot_of,
    text_of,
)
from tests.support.key_texts import expected_error, texts

keys = texts.filter(lambda text: expected_error(text) is None).map(Key)


@given(keys)
def test_a_key_is_read_back_from_its_name_in_redis(key: Key) -> None:
    assert text_of(entry_name(key)) == key.text


@given(st.from_regex(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:-]{1,128}", fullmatch=True))
def test_a_counter_is_read_back_from_its_name_in_redis(text: str) -> None:
    assert text_of(counter_name(CounterName(text))) == text


def slot_tag(name: bytes) -> bytes:
    """Return the hash tag as Redis Cluster does: from the first { to the next }."""
    start = name.index(b"{") + 1
    return name[start : name.index(b"}", start)]


@given(keys, st.binary(min_size=16, max_size=16))
def test_an_entry_and_its_operations_share_a_slot_whatever_braces_the_key_has(
    key: Key, operation: bytes
) -> None:
    assert slot_tag(entry_name(key)) == slot_tag(operation_name(key.text, operation))
    assert slot_tag(entry_name(key)).isalnum()


def test_names_spread_over_many_slots() -> None:
    tags = {slot_tag(entry_name(Key(f"{{same}}{i}"))) for i in range(1000)}

    assert len(tags) > 700


def glob(pattern: bytes, name: bytes) -> bool:
    """Match a pattern as Redis does, with the features that the service uses: ?, * and escapes."""
    regex, at = b"", 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"\\":
            at += 1
            char = pattern[at : at + 1]
            regex += re.escape(char)
        elif char in {b"?", b"*"}:
            regex += b"." if char == b"?" else b".*"
        else:
            assert char not in {b"[", b"]"}, "an unescaped class"
            regex += re.escape(char)
        at += 1
    return re.fullmatch(regex, name, re.DOTALL) is not None


prefixes = st.one_of(
    st.sampled_from(["", "a", "a*", "[a-z]", "\\", "\\*", "?", "é"]), st.text(max_size=4)
)


@given(keys, prefixes)
def test_a_pattern_matches_exactly_the_keys_with_the_prefix(key: Key, prefix: str) -> None:
    try:
        pattern = entry_pattern(prefix)
    except UnicodeEncodeError:
        return

    assert glob(pattern, entry_name(key)) == key.text.startswith(prefix)
    assert not glob(counter_pattern(prefix), entry_name(key))


@given(
    st.binary(max_size=40) | st.builds(lambda a, b, c: a + b"{" + b + b"}" + c, *[st.binary()] * 3)
)
@example(b"kv:{}:a")
@example(b"kv:{a:b")
def test_a_name_has_the_slot_that_redis_py_gives_it(name: bytes) -> None:
    assert slot_of(name) == key_slot(name)


def test_an_entry_made_under_an_idempotency_key_shares_a_slot_with_its_claim() -> None:
    seen = set()
    for number in range(30_000):
        operation = number.to_bytes(16, "big")
        proposal = f"0199c5b6-5d0a-7f32-9b1c-{number:012x}"

        member = member_beside_claim("some/collection/", operation, proposal)

        tag = slot_tag(claim_name(operation))
        assert slot_tag(entry_name(Key(f"some/collection/{member}"))) == tag
        assert member[:-4] == proposal[:-4]
        assert re.fullmatch("[0-9a-f]{4}", member[-4:])
        seen.add(tag)
    assert len(seen) == 4096
