"""The bench of security, in its short form."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.frame.program import Run
from bench.security.__main__ import PROGRAM
from bench.security.requests import fuzzed
from bench.security.sizes import Sizes
from tests.conftest import need_redis_7


@pytest.mark.parametrize(("part", "rows"), [("scopes", 22), ("browsers", 10), ("tls", 6)])
def test_nobody_gets_in_where_they_do_not_belong(part: str, rows: int, tmp_path: Path) -> None:
    need_redis_7()

    found = list(PROGRAM.parts[part](Run(Sizes(), tmp_path, ())))

    assert [row for row in found if row.is_broken] == []
    assert len(found) == rows


def test_fuzzed_requests_get_no_bug_no_entry_and_no_secret(tmp_path: Path) -> None:
    need_redis_7()

    rows = list(PROGRAM.parts["fuzz"](Run(Sizes(requests=600), tmp_path, ())))

    assert [row for row in rows if row.is_broken] == []
    assert len(rows) == 12


def test_the_requests_are_the_same_each_time() -> None:
    first, again = (
        [fuzzed(source, "Bearer x") for _ in range(50)]
        for source in (random.Random(1), random.Random(1))
    )

    assert first == again
    assert len(set(first)) == 50
