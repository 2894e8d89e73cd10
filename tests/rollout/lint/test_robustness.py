"""The linter does not crash, whatever a manifest contains."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from rollout.lint.linter import Bundle, lint
from rollout.lint.resource_parser import ManifestText, ResourceParser
from rollout.lint.schemas import Schemas
from rollout.lint.yaml_documents import parse_documents
from tests.rollout.lint.lint_runner import CLUSTER, FIXTURES

PARSER: Final = ResourceParser(Schemas())
FILES: Final = [
    CLUSTER,
    *sorted((FIXTURES / "valid").glob("*.yaml")),
    *sorted((FIXTURES / "bad").glob("*.yaml")),
]
DOCUMENTS: Final = [
    document.value
    for path in FILES
    if not path.stem.startswith("yaml-")
    for document in parse_documents(path.read_text())
]
VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(), inner)),
    max_leaves=4,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        below = enumerate(value)  # type: ignore[assignment]
    return [path, *(each for key, inner in below for each in paths(inner, (*path, key)))]


@given(data=st.data())
def test_a_value_replaced_by_any_other_does_not_crash_the_linter(data: st.DataObject) -> None:
    document = deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    *path, last = data.draw(st.sampled_from(paths(document)[1:]))
    parent = document
    for key in path:
        parent = parent[key]
    parent[last] = data.draw(VALUES)
    texts = (
        ManifestText("cluster", CLUSTER.read_text()),
        ManifestText("drawn", json.dumps(document)),
    )

    report = lint([Bundle("", texts)], PARSER)

    assert report.objects >= 8
    assert all(finding.what and finding.remedy for finding in report.findings)
