"""Commands are packed as hiredis packs them, and large words are not copied."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from svc.stores.packing import LARGE_BYTES, pack, word_of

LARGE = b"x" * LARGE_BYTES


def flat(word: Any) -> Any:
    return b"".join(word) if type(word) is tuple else word


@pytest.mark.parametrize(
    "words",
    [
        ("PING",),
        ("EVALSHA", "abc", 1, b"kv:k", b"", b"\x00\xff\r\n", -7),
        ("EVALSHA", "abc", 2, (b"v", b"", LARGE), b"keep"),
        (b"SET", (LARGE,)),
        ((LARGE,), (b"", LARGE)),
    ],
)
def test_the_bytes_are_those_of_hiredis(words: tuple[Any, ...]) -> None:
    assert b"".join(pack(words)) == hiredis.pack_command(tuple(map(flat, words)))


def test_a_large_part_is_sent_as_it_is() -> None:
    pieces = pack(("SET", b"k", word_of((b"head", LARGE))))

    assert any(piece is LARGE for piece in pieces)
    assert word_of((b"head", LARGE[1:])) == b"head" + LARGE[1:]
