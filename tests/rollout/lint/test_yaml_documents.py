"""YAML documents as Kubernetes reads them, and the line number of every JSON path."""

from __future__ import annotations

import pytest

from rollout.lint.yaml_documents import YamlInvalid, parse_documents

TEXT = """\
# a comment
apiVersion: v1
metadata:
  annotations:
    a.b/c: x
spec:
  http:
    - name: one
    - name: two
      route: [{weight: 1},
              {weight: 2}]
---
second: true
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 2),
        ("apiVersion", 2),
        ('metadata.annotations["a.b/c"]', 5),
        ("spec.http[1].name", 9),
        ("spec.http[1].route[1].weight", 11),
        ("spec.http[1].timeout", 9),
        ("spec.http[7].name", 7),
        ("status.nothing", 2),
    ],
)
def test_a_path_has_a_line(path: str, line: int) -> None:
    first, second = parse_documents(TEXT)

    assert first.line_of(path) == line
    assert second.line_of("second") == 13


def test_dates_and_times_stay_texts() -> None:
    [document] = parse_documents("{a: 2026-11-20, b: 12:30, c: 010, d: yes, 1: one}")

    assert document.value == {"a": "2026-11-20", "b": "12:30", "c": 8, "d": True, "1": "one"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3", 3),
        ("a: !!binary aGk=", 1),
        ("a: !thing x", 1),
        ("a: &x [*x]", None),
        ("a: \x00", None),
    ],
)
def test_what_kubernetes_rejects_is_invalid(text: str, line: int | None) -> None:
    with pytest.raises(YamlInvalid) as caught:
        list(parse_documents(text))

    assert caught.value.line == line


def test_a_part_of_a_document_has_lines_of_its_own() -> None:
    first, _ = parse_documents(TEXT)
    route = first.item("spec.http[1]")

    assert route.line_of("") == 9
    assert route.line_of("route[1].weight") == 11
    assert route.line_of("timeout") == 9
