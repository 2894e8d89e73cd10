"""Whatever is in a manifest, the linter says something of it and does not fall over."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollout.lint.documents import Assembling, Text
from rollout.lint.linting import Bundle, lint
from rollout.lint.schemas import Schemas
from rollout.lint.yaml_text import read_documents
from tests.rollout.lint.linted import ESTATE, FIXTURES

ASSEMBLING: Final = Assembling(Schemas())
FILES: Final = [
    ESTATE,
    *sorted((FIXTURES / "valid").glob("*.yaml")),
    *sorted((FIXTURES / "bad").glob("*.yaml")),
]
DOCUMENTS: Final = [
    document.value
    for path in FILES
    if not path.stem.startswith("yaml-")
    for document in read_documents(path.read_text())
]
VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(), inner)),
    max_leaves=4,
)


def ways(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        below = enumerate(value)  # type: ignore[assignment]
    return [way, *(each for key, inner in below for each in ways(inner, (*way, key)))]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_value_replaced_by_any_other_is_survived(data: st.DataObject) -> None:
    document = deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    *way, last = data.draw(st.sampled_from(ways(document)[1:]))
    at = document
    for step in way:
        at = at[step]
    at[last] = data.draw(VALUES)
    texts = (Text("estate", ESTATE.read_text()), Text("drawn", json.dumps(document)))

    report = lint([Bundle("", texts)], ASSEMBLING)

    assert report.objects >= 8
    assert all(finding.what and finding.remedy for finding in report.findings)
