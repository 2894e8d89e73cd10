"""The merge of RFC 7396: its examples, and its properties."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.api.merge_patch import merge_steps
from tests.svc.api.merge_patch_cases import MERGES

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
names = st.sampled_from(["a", "b", "c", ""])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def finish(steps: Generator[None, None, bytes]) -> bytes:
    try:
        while True:
            next(steps)
    except StopIteration as end:
        merged: bytes = end.value
        return merged


def merge(target: Any, patch: Any) -> Any:
    steps = merge_steps(json.dumps(target).encode(), json.dumps(patch).encode())
    return json.loads(finish(steps))


def merge_as_the_rfc_writes_it(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_as_the_rfc_writes_it(merged.get(name), value)
    return merged


def has_null_member(value: Any) -> bool:
    return isinstance(value, dict) and any(v is None or has_null_member(v) for v in value.values())


@pytest.mark.parametrize("case", MERGES)
def test_a_patch_is_merged_as_the_rfc_says(case: str) -> None:
    before, changes, after = MERGES[case]

    assert merge(before, changes) == after


@given(values, values)
def test_any_patch_is_merged_as_the_rfc_writes_it(target: Any, patch: Any) -> None:
    assert repr(merge(target, patch)) == repr(merge_as_the_rfc_writes_it(target, patch))


def test_what_a_patch_does_not_name_is_copied_to_the_byte() -> None:
    steps = merge_steps(b' {"a": [1.10, -0],"b":{"c": 1e-400 ,"d":0}} ', b'{"b":{"d":2.0}}')

    assert finish(steps) == b'{"a":[1.10, -0],"b":{"c":1e-400,"d":2.0}}'


@given(values, values)
def test_merging_twice_is_merging_once(target: Any, patch: Any) -> None:
    once = merge(target, patch)

    assert merge(once, patch) == once


@given(values)
def test_an_empty_patch_changes_no_object(target: Any) -> None:
    assert merge(target, {}) == (target if isinstance(target, dict) else {})


@given(values)
def test_what_is_no_object_replaces_everything(target: Any) -> None:
    for patch in (None, 1, "x", [1], []):
        assert merge(target, patch) == patch


@given(values, st.dictionaries(names, values))
def test_after_a_patch_its_members_are_as_it_says(target: Any, patch: dict[str, Any]) -> None:
    merged = merge(target, patch)

    for name, value in patch.items():
        if value is None:
            assert name not in merged
        elif not isinstance(value, dict):
            assert merged[name] == value
    if isinstance(target, dict):
        for name in target.keys() - patch.keys():
            assert merged[name] == target[name]


@given(st.dictionaries(names, values))
def test_no_null_comes_from_a_patch(patch: dict[str, Any]) -> None:
    assert not has_null_member(merge({}, patch))
