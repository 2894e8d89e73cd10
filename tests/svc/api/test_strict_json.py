"""Strict JSON parsing: exact values for what is accepted, BodyInvalid for everything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svc.api.strict_json import (
    MAX_NODES,
    check_json,
    read_body,
    read_members,
    write_members,
)
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


def refused(raw: bytes) -> bool:
    try:
        check_json(raw)
    except BodyInvalid:
        return True
    return False


@given(values, st.booleans())
def test_any_value_is_accepted_as_it_was_written(value: Any, ascii_only: bool) -> None:
    check_json(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(st.dictionaries(texts, values, max_size=4), st.booleans())
def test_the_members_of_an_object_are_kept_as_they_were_written(
    value: dict[str, Any], ascii_only: bool
) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()

    members = read_members(raw)

    assert members is not None
    assert list(members) == list(value)
    for name, member in members.items():
        assert bytes(member) == json.dumps(value[name], ensure_ascii=ascii_only).encode()
    assert repr(json.loads(write_members(members))) == repr(value)


@given(values)
def test_only_an_object_has_members(value: Any) -> None:
    assert (read_members(json.dumps(value).encode()) is None) == (not isinstance(value, dict))


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
def test_what_is_accepted_is_what_the_standard_library_reads(text: str) -> None:
    if not refused(text.encode()):
        json.loads(text)


def test_a_document_is_refused_exactly_if_another_reader_could_see_another() -> None:
    """The standard library as the model: it reads what is refused here only in these ways."""
    twice, number = [], []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.append(len(dict(items)) < len(items))
        return dict(items)

    def constant(text: str) -> float:
        number.append(text)
        return 0.0

    @given(st.lists(pieces, max_size=8).map("".join))
    def compare(text: str) -> None:
        twice.clear()
        number.clear()
        try:
            value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
        except ValueError:
            fine = False
        else:
            shown = json.dumps(value, ensure_ascii=False)
            infinite = "Infinity" in json.dumps(value).replace('"Infinity"', "")
            lone = any("\ud800" <= each <= "\udfff" for each in shown)
            fine = not (any(twice) or number or infinite or lone)
        assert refused(text.encode()) == (not fine)

    compare()


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(BodyInvalid):
        check_json(raw)


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
        check_json(raw)
    else:
        with pytest.raises(BodyInvalid):
            check_json(raw)


@pytest.mark.parametrize("depth", [200, 1000, 10_000, 1_000_000])
@pytest.mark.parametrize("closed", [True, False])
def test_no_depth_crashes_the_parser(depth: int, closed: bool) -> None:
    with pytest.raises(BodyInvalid):
        check_json(b"[" * depth + b"]" * depth * closed)
    with pytest.raises(BodyInvalid):
        check_json(b'{"a":' * depth + b"1" + b"}" * depth * closed)


def test_many_brackets_side_by_side_are_no_depth() -> None:
    raw = b"[" + b",".join([b'{"a":[]}'] * 1000) + b"]"

    check_json(raw)


def test_brackets_inside_strings_are_no_depth() -> None:
    check_json(b'["' + b"[" * 100 + b'"]')


@pytest.mark.parametrize("digits", [4000, 4300])
def test_integers_have_as_many_digits_as_python_reads(digits: int) -> None:
    check_json(b"9" * digits)


@pytest.mark.parametrize("digits", [4301, 5000, 100_000])
def test_integers_beyond_that_are_refused(digits: int) -> None:
    with pytest.raises(BodyInvalid):
        check_json(b"9" * digits)


@given(st.dictionaries(texts, values, max_size=4))
def test_a_document_does_not_grow_when_it_is_rendered_again(value: Any) -> None:
    shortest = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    assert len(write_members(read_members(shortest))) <= len(shortest)


NUMBERS = ["0.12345678901234567890", "1e-400", "-0", "-0.0", "1.10", "1E5", "9" * 4300, "0.5e+01"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_rendered_with_the_digits_that_it_came_with(number: str) -> None:
    text = f'{{"a":[{number},null,"x"],"b":{number}}}'.encode()

    check_json(text)
    assert write_members(read_members(text)) == text


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "01", "1.", "9" * 4301])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(BodyInvalid):
        check_json(f"[{number}]".encode())


@pytest.mark.parametrize(
    "number",
    [
        *("1e309", "1E309", "1e+309", "-1e309", "1.5e0309", "10e308", "9" * 309 + ".5"),
        *("9" * 310 + "e0", "0.1e310", "12345678901234567890e290"),
    ],
)
def test_a_number_beyond_a_double_is_refused_wherever_its_digits_are(number: str) -> None:
    for text in (number, f"[{number}]", f'{{"a":[0,{number},"x"]}}', "[" * 64 + number + "]" * 64):
        assert refused(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        *("1e308", "0e999", "1e-999", "0.0000000001e310", "1e-0400", '"1e999"', "9" * 400),
        '["1e999", "3E456", 5, "' + "9" * 400 + '.5"]',
    ],
)
def test_what_only_looks_like_a_number_beyond_a_double_is_accepted(text: str) -> None:
    check_json(text.encode())


@pytest.mark.parametrize("raw", [b"[],[]", b"],[", b"]],[[", b'[]],"a":[[', b"[]" * 70])
def test_two_values_are_none_however_many_brackets_they_have(raw: bytes) -> None:
    padded = b"[" + b",".join([b"[]"] * 70) + b"]," + raw
    for text in (raw, padded, raw + b"," + padded[: padded.index(b"],[")]):
        assert refused(text)


def test_the_depth_is_told_and_other_mistakes_are_told_by_their_place() -> None:
    with pytest.raises(BodyInvalid, match="deeper than 64 levels"):
        check_json(b"[" * 65 + b"]" * 65)
    with pytest.raises(BodyInvalid, match=r"line 1 column 7\b"):
        check_json(b"[1, 2 x" + b"[]" * 70)


@pytest.mark.parametrize("fill", [b"[],", b"{},", b'{"a":1},', b'"a:[{",'])
def test_nodes_are_arrays_objects_and_members(fill: bytes) -> None:
    each = {b"[],": 1, b"{},": 1, b'{"a":1},': 2, b'"a:[{",': 0}[fill]
    most = (MAX_NODES - 1) // (each or 1)

    check_json(b"[" + fill * most + b"0]")
    if each:
        with pytest.raises(BodyInvalid, match=f"at most {MAX_NODES} are allowed"):
            check_json(b"[" + fill * (most + 1) + b"0]")


@pytest.mark.parametrize("text", [b":", b"[", b"{", rb"\":[", rb"\\\":[", rb"\\"])
def test_what_stands_in_strings_is_no_node(text: bytes) -> None:
    check_json(b'["' + text * MAX_NODES + b'",1]')


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
