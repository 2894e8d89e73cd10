"""Languages of matches: every way in which they overlap has a text, as RE2 says."""

from __future__ import annotations

import itertools
import random

import pytest

from rollout.manifests.string_match import compile_regex
from rollout.routing.languages import ANYTHING, TooHard, literal, overlaps, prefix, regex

ATOMS = [
    "a",
    "b",
    "x",
    ".",
    "[ab]",
    "[^a]",
    "a*",
    "(a|bx)",
    "b?",
    "x+",
    "(?:ab){1,2}",
    r"\w",
    "a{2}",
]
TEXTS = ["".join(each) for size in range(6) for each in itertools.product("abx", repeat=size)]


@pytest.mark.parametrize("seed", range(12))
def test_every_overlap_that_some_text_has_is_found(seed: int) -> None:
    chance = random.Random(seed)
    patterns = ["".join(chance.choices(ATOMS, k=chance.randint(1, 3))) for _ in range(4)]
    compiled = [compile_regex(each) for each in patterns]

    def accepting(text: str) -> frozenset[int]:
        return frozenset(at for at, each in enumerate(compiled) if each.fullmatch(text))

    found = overlaps([regex(each) for each in patterns], ANYTHING)

    assert {accepting(each) for each in TEXTS} <= set(found), patterns
    assert all(accepting(text) == places for places, text in found.items()), patterns


def test_prefixes_and_cases() -> None:
    found = overlaps([prefix("/v1"), literal("/v1/kv"), prefix("/V1", fold=True)], prefix("/"))

    assert found == {
        frozenset(): "/",
        frozenset({0, 2}): "/v1",
        frozenset({0, 1, 2}): "/v1/kv",
        frozenset({2}): "/V1",
    }


@pytest.mark.parametrize("pattern", [r"\bword", r"[[:alpha:]]", r"\pL+", "a$b", "(?s).", "x{500}"])
def test_what_is_no_language_here_is_said(pattern: str) -> None:
    with pytest.raises(TooHard):
        regex(pattern)
