"""A document that is parsed in pieces is refused exactly if it is refused as a whole."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.api import json_pieces, strict_json
from svc.api.strict_json import LARGE_BYTES, MAX_DEPTH, check_json, check_steps
from svc.domain.errors import BodyInvalid

#: Few different characters, so that keys are often the same and mistakes plausible.
TEXTS = st.text('a,:[]{}"\\é', max_size=6)
NUMBERS = st.sampled_from(["0", "-1", "1.5e3", "1e999", "0e999", "true", "null"])


def an_object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in members) + "}"


DOCUMENTS = st.recursive(
    NUMBERS | TEXTS.map(json.dumps),
    lambda values: (
        st.lists(values, max_size=6).map(lambda parts: "[" + ", ".join(parts) + "]")
        | st.lists(st.tuples(TEXTS, values), max_size=6).map(an_object)
    ),
    max_leaves=30,
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A document in which a few characters are replaced."""
    text = draw(DOCUMENTS)
    at = draw(st.integers(0, len(text)))
    end = draw(st.integers(at, min(len(text), at + 3)))
    return text[:at] + draw(st.text('[]{},:"\\ 1', max_size=3)) + text[end:]


def is_refused(document: bytes) -> bool:
    try:
        check_json(document)
    except BodyInvalid:
        return True
    return False


@pytest.fixture(scope="module")
def in_pieces() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patched:
        yield patched


@given(text=DOCUMENTS | damaged() | st.text('[]{},:"\\ 1', max_size=30), piece=st.integers(1, 20))
def test_pieces_of_any_size_are_refused_as_the_whole_is(
    in_pieces: pytest.MonkeyPatch, text: str, piece: int
) -> None:
    document = text.encode()
    expected = is_refused(document)

    with in_pieces.context() as patched:
        patched.setattr(json_pieces, "PIECE_BYTES", piece)
        patched.setattr(strict_json, "LARGE_BYTES", -1)

        assert is_refused(document) == expected


def members(count: int, last: str) -> bytes:
    return (
        "{" + ",".join(f'"{i:06x}":[1,"]}},"]' for i in range(count)) + f',"{last}":1}}'
    ).encode()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (members(10_000, "000000"), "Detected duplicate key"),
        (members(10_000, "00270f"), "Detected duplicate key"),
        (members(10_000, r"\u00300270f"), "Detected duplicate key"),
        (b"[" + members(10_000, "a") + b"," + members(10_000, "a")[:-1] + b"]", "not strict JSON"),
        (b"[" * 65 + members(10_000, "a") + b"]" * 65, "deeper than 64 levels"),
        (members(10_000, "a")[:-2] + b"1e999}", "not strict JSON"),
        (members(10_000, "a") + b" 1", "not strict JSON"),
        (b'["' + bytes(LARGE_BYTES), "not strict JSON"),
        (b'["' + b"\\" * LARGE_BYTES, "not strict JSON"),
        (b'""' * LARGE_BYTES, "not strict JSON"),
        (b"1, 2" + b" " * LARGE_BYTES, "not strict JSON"),
        (b"1],[2" + b" " * LARGE_BYTES, "not strict JSON"),
    ],
)
def test_a_large_document_is_refused_for_what_is_wrong_with_it(document: bytes, said: str) -> None:
    assert len(document) > LARGE_BYTES
    with pytest.raises(BodyInvalid, match=said):
        check_json(document, "value")


@pytest.mark.parametrize("separator", [b",", b",\n", b", \n\n"])
@pytest.mark.parametrize("at", [1, 20_000, 39_000])
def test_a_mistake_is_told_by_its_place_in_the_document(separator: bytes, at: int) -> None:
    parts = [b"[1]"] * 40_000
    parts[at] = b"[1}"
    document = b"[" + separator.join(parts) + b"]"
    with pytest.raises(ValueError, match="line") as expected:
        jiter.from_json(document)

    with pytest.raises(BodyInvalid) as said:
        check_json(document, "value")

    assert str(said.value) == f"value: it is not strict JSON: {expected.value}"


@pytest.mark.parametrize(
    "document",
    [
        members(10_000, "a"),
        b"[" * (MAX_DEPTH - 2) + members(10_000, "a") + b"]" * (MAX_DEPTH - 2),
        b"[" + b",".join([members(1_000, "a")] * 10) + b"]",
        b'["' + b"\\\\" * LARGE_BYTES + b'", "' + b',\\"' * LARGE_BYTES + b'"]',
        b"[" + b",".join([b"1"] * LARGE_BYTES) + b"]",
    ],
)
def test_a_large_document_is_accepted_in_steps(document: bytes) -> None:
    steps = sum(1 for _ in check_steps(document))

    assert steps >= len(document) // json_pieces.PIECE_BYTES // 8


def test_nothing_is_kept_of_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []

    def parse(piece: bytes) -> Any:
        parsed.append(len(piece))
        return strict_json._parse(piece)

    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 1000)
    for _ in json_pieces.parse_pieces(members(10_000, "a"), parse, 64, 1_000_000):
        pass

    assert max(parsed) < 1_200


def cpu_seconds(document: bytes) -> float:
    """Return the least CPU time of three readings."""
    times = []
    for _ in range(3):
        before = time.thread_time()
        is_refused(document)
        times.append(time.thread_time() - before)
    return min(times)


def test_what_nests_deep_takes_not_much_longer_than_what_does_not() -> None:
    """Not as its square: 32 KB that are refused held up all others for a third of a second."""
    flat = b"[" + b"[]," * 10_000 + b"0]"
    deep = b"[" * 16_000 + b"]" * 16_000

    assert cpu_seconds(deep) < 60 * cpu_seconds(flat)
