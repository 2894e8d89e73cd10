"""Our translation beside what istiod 1.30.3 programmed for the same objects, fact by fact.

``istiod_cases.jsonl.xz`` has this project's own cases; ``make istio`` compares any others. Its
facts come from istiod's configuration generator, run without a cluster.
"""

from __future__ import annotations

from typing import Final

import pytest

from bench.istio.__main__ import PACKED, default_directory
from bench.istio.cases import Case, read_cases
from bench.istio.judgement import judge

OTHERS: Final = default_directory()
CASES: Final = [
    *(pytest.param(each, id=each.name) for each in read_cases(PACKED)),
    *(
        pytest.param(each, id=f"beside/{each.name}")
        for each in (read_cases(OTHERS) if OTHERS != PACKED else ())
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_every_fact_is_istiod_s(case: Case) -> None:
    found = judge(case)

    assert [str(each) for each in found.different] == []
    assert found.equal, "nothing was compared"
