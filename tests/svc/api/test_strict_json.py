"""Strict JSON parsing: exact values for what is accepted, BodyInvalid for everything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svc.api.strict_json import read_body, read_exact, read_json, write_exact
from svc.domain.errors import BodyInvalid

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


def same(one: Any, other: Any) -> bool:
    """Compare values and types: 1, 1.0 and true differ."""
    return repr(one) == repr(other)


@given(values, st.booleans())
def test_any_value_is_read_as_it_was_written(value: Any, ascii_only: bool) -> None:
    assert same(read_json(json.dumps(value, ensure_ascii=ascii_only).encode()), value)


@given(values)
def test_what_is_rendered_is_read_back(value: Any) -> None:
    assert same(read_json(write_exact(read_exact(json.dumps(value).encode()))), value)


pieces = st.sampled_from(
    [
        *("{", "}", "[", "]", ",", ":", '"a"', '"b"', "1", "-", "1e999", "0.5", "NaN", "null"),
        *("true", '"\\ud800"', '"\\ud83d\\ude00"', " ", "\n", "Infinity", "\ufeff", "1E5", "-0"),
    ]
)


@given(st.lists(pieces, max_size=8).map("".join))
@example('{"a":1,"a":2}')
@example('"\\ud800"')
@example("-0")
@example("1E400")
@example("\ufeff1")
def test_any_text_is_refused_or_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        value = read_json(text.encode())
    except BodyInvalid:
        return

    assert same(value, json.loads(text)) or value == json.loads(text)


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(BodyInvalid):
        read_json(raw)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize(("depth", "fine"), [(1, True), (64, True), (65, False), (190, False)])
@pytest.mark.parametrize("filled", [True, False])
def test_64_levels_are_the_most(opening: bytes, depth: int, fine: bool, filled: bool) -> None:
    closing = b"]" if opening == b"[" else b"}"
    # A level is an object with something in it; only the last one may be {}.
    inner = b"1" if filled else (b"" if opening == b"[" else None)
    if inner is None:
        raw = opening * (depth - 1) + b"{}" + closing * (depth - 1)
    else:
        raw = opening * depth + inner + closing * depth

    if fine:
        read_json(raw)
    else:
        with pytest.raises(BodyInvalid):
            read_json(raw)


@pytest.mark.parametrize("depth", [200, 1000, 10_000, 1_000_000])
@pytest.mark.parametrize("closed", [True, False])
def test_no_depth_crashes_the_parser(depth: int, closed: bool) -> None:
    with pytest.raises(BodyInvalid):
        read_json(b"[" * depth + b"]" * depth * closed)
    with pytest.raises(BodyInvalid):
        read_json(b'{"a":' * depth + b"1" + b"}" * depth * closed)


def test_many_brackets_side_by_side_are_no_depth() -> None:
    raw = b"[" + b",".join([b'{"a":[]}'] * 1000) + b"]"

    assert len(read_json(raw)) == 1000


def test_brackets_inside_strings_are_no_depth() -> None:
    assert read_json(b'["' + b"[" * 100 + b'"]') == ["[" * 100]


@pytest.mark.parametrize("digits", [4000, 4300])
def test_integers_have_as_many_digits_as_python_reads(digits: int) -> None:
    assert read_json(b"9" * digits) == int("9" * digits)


@pytest.mark.parametrize("digits", [4301, 5000, 100_000])
def test_integers_beyond_that_are_refused(digits: int) -> None:
    with pytest.raises(BodyInvalid):
        read_json(b"9" * digits)


@given(values)
def test_a_document_does_not_grow_when_it_is_rendered_again(value: Any) -> None:
    shortest = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    assert len(write_exact(read_exact(shortest))) <= len(shortest)


NUMBERS = ["0.12345678901234567890", "1e-400", "-0", "-0.0", "1.10", "1E5", "9" * 4300, "0.5e+01"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_rendered_with_the_digits_that_it_came_with(number: str) -> None:
    text = f'{{"a":[{number},null,"x"],"b":{number}}}'.encode()

    assert write_exact(read_exact(text)) == text


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "01", "1.", "9" * 4301])
def test_what_is_no_number_is_refused_where_digits_are_kept_too(number: str) -> None:
    with pytest.raises(BodyInvalid):
        read_exact(f"[{number}]".encode())


class Body(msgspec.Struct, forbid_unknown_fields=True):
    by: int = 1


_decoder = msgspec.json.Decoder(Body)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b'{"by":"1"}', "by"),
        (b'{"by":1,"bye":2}', "bye"),
        (b'{"by":1,"by":2}', "by"),
        (b'{"by":1e999}', "by"),
        (b"[]", "object"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_name(raw: bytes, named: str) -> None:
    with pytest.raises(BodyInvalid, match=named):
        read_body(raw, _decoder)


def test_a_body_that_fits_is_read() -> None:
    assert read_body(b'{"by":7}', _decoder) == Body(7)
    assert read_body(b"{}", _decoder) == Body()
