"""Our translation beside what istiod 1.30.3 programmed for the same objects, fact by fact.

``istiod_cases.jsonl.xz`` has this project's own cases; ``make istio`` compares any others. Its
facts come from istiod's configuration generator, run without a cluster.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bench.istio.__main__ import default_directory
from bench.istio.cases import Case, read_cases
from bench.istio.judgement import judge

PACKED: Final = Path(__file__).with_name("istiod_cases.jsonl.xz")
OTHERS: Final = default_directory()
CASES: Final = [
    *(pytest.param(each, id=each.name) for each in read_cases(PACKED)),
    *(pytest.param(each, id=f"beside/{each.name}") for each in read_cases(OTHERS)),
]


@pytest.mark.parametrize("case", CASES)
def test_every_fact_is_istiod_s(case: Case) -> None:
    found = judge(case)

    assert [str(each) for each in found.different] == []
    assert found.equal, "nothing was compared"
