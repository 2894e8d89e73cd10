"""The short form of ``make evidence``: fails where a promise is broken grossly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.evidence.__main__ import PROGRAM, SIMULATIONS


@pytest.mark.parametrize("part", SIMULATIONS)
def test_the_short_form_keeps_its_limits(part: str) -> None:
    with ThreadPoolExecutor(1) as executor:
        rows = list(SIMULATIONS[part](PROGRAM.quick, executor))

    assert rows
    assert [(row.title, row.value) for row in rows if row.is_broken] == []
