"""Properties of keys and counter names: valid exactly if the contract says so."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svc.domain.errors import CounterNameInvalid
from svc.domain.model import CounterName, Key
from tests.support.key_texts import expected_error, texts


@given(texts)
@example("")
@example("a\n")
@example("a/b\n")
@example("\n")
def test_a_key_is_refused_exactly_when_the_contract_says_so(text: str) -> None:
    expected = expected_error(text)

    if expected is None:
        assert Key(text).text == text
    else:
        with pytest.raises(expected):
            Key(text)


@given(st.one_of(st.text(max_size=20), st.from_regex(r"[A-Za-z0-9._~:-]{120,132}", fullmatch=True)))
@example("")
@example("a\n")
@example("é")
def test_a_counter_name_is_refused_exactly_when_the_contract_says_so(text: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._~:-]{1,128}", text):
        assert CounterName(text).text == text
    else:
        with pytest.raises(CounterNameInvalid):
            CounterName(text)


def test_equal_keys_are_one_key() -> None:
    assert Key("a") == Key("a")
    assert len({Key("a"), Key("a"), Key("b")}) == 2
    assert Key("é") != Key("e\u0301")
