"""What a cluster with Istio refuses is an error where it is wrong; what it accepts is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rollout.manifests.kinds import SUPPORTED
from tests.rollout.lint.cases import CASES, needs_cases
from tests.rollout.lint.lint_runner import CLUSTER, FIXTURES, lint

API: Final = {kind: f"{group}/{it.versions[0]}" for (group, kind), it in SUPPORTED.items()}


def entries(folder: str) -> Iterator[Any]:
    for path in sorted((FIXTURES / folder).glob("*.yaml")):
        for index, entry in enumerate(yaml.safe_load(path.read_text())):
            where = f"-{entry['at']}" if "at" in entry else ""
            yield pytest.param(entry, id=f"{index}-{entry['kind']}{where}")


def errors_of(entry: dict[str, Any], tmp_path: Path) -> list[str]:
    """Return the paths of the errors that lint reports for an entry of a fixture."""
    metadata = {"name": "a", "namespace": "shop", **entry.get("metadata", {})}
    api = entry.get("api") or API.get(entry["kind"], "v1")
    body = {"apiVersion": api, "kind": entry["kind"], "metadata": metadata, "spec": entry["spec"]}
    (tmp_path / "object.yaml").write_text(json.dumps(body))
    found = lint("--with", CLUSTER, tmp_path / "object.yaml").findings
    return [each["path"] for each in found if each["severity"] == "error"]


@pytest.mark.parametrize("entry", list(entries("refused")))
def test_what_is_refused_on_apply_is_an_error(entry: dict[str, Any], tmp_path: Path) -> None:
    assert errors_of(entry, tmp_path) == [entry["at"]]


@pytest.mark.parametrize("entry", list(entries("accepted")))
def test_what_is_accepted_is_no_error(entry: dict[str, Any], tmp_path: Path) -> None:
    assert errors_of(entry, tmp_path) == []


@pytest.mark.parametrize(
    ("at", "most", "of"),
    [
        ("parentRefs", 32, lambda items: {"parentRefs": items}),
        ("hostnames", 16, lambda items: {"hostnames": items}),
        ("rules", 16, lambda items: {"rules": items}),
        ("rules[0].matches", 64, lambda items: {"rules": [{"matches": items}]}),
        ("rules[0].backendRefs", 16, lambda items: {"rules": [{"backendRefs": items}]}),
    ],
)
def test_a_route_of_the_gateway_api_has_no_longer_lists(
    at: str, most: int, of: Callable[[list[Any]], dict[str, Any]], tmp_path: Path
) -> None:
    item = {
        "parentRefs": {"name": "edge"},
        "hostnames": "a.example.com",
        "rules": {"backendRefs": [{"name": "kv", "port": 8080}]},
        "rules[0].matches": {"path": {"value": "/a"}},
        "rules[0].backendRefs": {"name": "kv", "port": 8080},
    }[at]
    entry = {"kind": "HTTPRoute"}

    for count, expected in ((most, []), (most + 1, [f"spec.{at}"])):
        spec = {"parentRefs": [{"name": "edge"}], **of([item] * count)}
        assert errors_of({**entry, "spec": spec}, tmp_path) == expected


def test_a_wildcard_of_a_service_entry_defines_its_hosts(tmp_path: Path) -> None:
    entry = {"hosts": ["*.eu.example.com"], "ports": [{"number": 80, "name": "http"}]}
    route = {"route": [{"destination": {"host": "a.eu.example.com"}}], "retries": {"attempts": 0}}
    for kind, spec in (
        ("ServiceEntry", entry),
        ("VirtualService", {"hosts": ["a.eu.example.com"], "http": [route]}),
    ):
        body = {"kind": kind, "apiVersion": API[kind], "metadata": {"name": "a"}, "spec": spec}
        (tmp_path / f"{kind}.yaml").write_text(json.dumps(body))

    assert lint(tmp_path).findings_of("error", "warning") == []


def test_a_helm_chart_in_a_tree_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "chart" / "templates").mkdir(parents=True)
    (tmp_path / "chart" / "Chart.yaml").write_text("{apiVersion: v2, name: c, version: 1.0.0}")
    (tmp_path / "chart" / "templates" / "a.yaml").write_text("{{- if .Values.a }}\na: {{ b }}\n")

    linted = lint(tmp_path)

    assert linted.code == 0
    assert linted.findings_of() == ["not-checked - -"]


@pytest.mark.parametrize("text", ["{{- if .a }}\na: 1\n", "a: {{ .a }}\n", "- {% b %}\n"])
def test_a_template_that_is_no_yaml_is_taken_for_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)

    [found] = lint(tmp_path).findings

    assert found["rule"] == "yaml-invalid"
    assert "if it is a template, check its output" in found["remedy"]


@needs_cases
@pytest.mark.parametrize("path", sorted((CASES / "mesh" / "refused").glob("*.yaml")), ids=str)
def test_each_refused_case_has_an_error(path: Path) -> None:
    linted = lint("--with", CASES / "mesh" / "valid" / "base.yaml", path)

    assert linted.findings_of("error")


@needs_cases
@pytest.mark.parametrize(
    "path",
    [
        *sorted((CASES / "mesh" / "valid").rglob("*.yaml")),
        *sorted((CASES / "istiod" / "samples").glob("*/input.yaml")),
    ],
    ids=str,
)
def test_a_valid_case_has_no_error(path: Path) -> None:
    base = CASES / "mesh" / "valid" / "base.yaml"
    chart = next((each for each in path.parents if (each / "Chart.yaml").exists()), None)
    given = () if base.name == path.name else ("--with", base)

    assert lint(*given, chart.parent if chart else path).findings_of("error") == []
