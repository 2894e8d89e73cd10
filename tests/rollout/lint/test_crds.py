"""``lint --crds``: the structure of custom resources from their CustomResourceDefinitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.rollout.lint.lint_runner import LintRun, lint, run

TEXT: Final = {"type": "string"}
SPEC: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["port"],
    "properties": {
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "mode": {"type": "string", "enum": ["A", "B"]},
        "name": {"type": "string", "minLength": 2, "pattern": "^[a-z]+$"},
        "either": {
            "type": "object",
            "properties": {"one": TEXT, "other": TEXT},
            "oneOf": [{"required": ["one"]}, {"required": ["other"]}],
        },
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": TEXT},
        "amount": {"x-kubernetes-int-or-string": True},
        "list": {"type": "array", "maxItems": 1, "items": {"type": "object", "properties": {}}},
    },
}


def definition(group: str, kind: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind},
            "versions": [{"name": version, "served": True, "schema": schema}],
        },
    }


def linted(tmp_path: Path, api: str, kind: str, spec: Any, *crds: dict[str, Any]) -> LintRun:
    (tmp_path / "crds.json").write_text(json.dumps({"kind": "List", "items": crds}))
    metadata = {"name": "a", "namespace": "shop"}
    body = {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}
    (tmp_path / "a.yaml").write_text(json.dumps(body))
    return lint("--crds", tmp_path / "crds.json", tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("spec", "finding"),
    [
        ({"port": 1, "labels": {"a": "b"}, "any": {"thing": [1]}, "amount": "1"}, ""),
        ({"port": 1, "prot": 2}, "unknown-field Thing shop/a spec.prot"),
        ({}, "missing-field Thing shop/a spec.port"),
        ({"port": "1"}, "wrong-type Thing shop/a spec.port"),
        ({"port": True}, "wrong-type Thing shop/a spec.port"),
        ({"port": 0}, "bad-value Thing shop/a spec.port"),
        ({"port": 1, "mode": "C"}, "bad-value Thing shop/a spec.mode"),
        ({"port": 1, "name": "a1"}, "bad-value Thing shop/a spec.name"),
        ({"port": 1, "name": "a"}, "bad-value Thing shop/a spec.name"),
        ({"port": 1, "either": {"one": "a", "other": "b"}}, "bad-value Thing shop/a spec.either"),
        ({"port": 1, "labels": {"a": 1}}, "wrong-type Thing shop/a spec.labels.a"),
        ({"port": 1, "amount": 1.5}, "wrong-type Thing shop/a spec.amount"),
        ({"port": 1, "list": [{}, {}]}, "bad-value Thing shop/a spec.list"),
        ({"port": 1, "list": [{"a": 1}]}, "unknown-field Thing shop/a spec.list[0].a"),
    ],
)
def test_a_custom_resource_is_checked_with_its_definition(
    spec: Any, finding: str, tmp_path: Path
) -> None:
    things = definition("example.com", "Thing", "v1", SPEC)

    found = linted(tmp_path, "example.com/v1", "Thing", spec, things).findings_of()

    assert found == ([finding] if finding else [])


def test_a_version_that_the_definition_lacks_is_an_error(tmp_path: Path) -> None:
    things = definition("example.com", "Thing", "v2", SPEC)

    found = linted(tmp_path, "example.com/v1", "Thing", {"port": 1}, things).findings_of()

    assert found == ["unknown-kind Thing shop/a apiVersion"]


def test_a_field_that_only_istio_s_newer_definition_has_is_valid(tmp_path: Path) -> None:
    spec = {"type": "object", "properties": {"host": TEXT, "brandNew": TEXT}}
    rules = definition("networking.istio.io", "DestinationRule", "v1", spec)
    api = ("networking.istio.io/v1", "DestinationRule")

    newer = linted(tmp_path, *api, {"host": "kv", "brandNew": "a"}, rules)
    wrong = linted(tmp_path, *api, {"host": "kv", "brandOld": "a"}, rules)

    assert newer.findings_of("error") == []
    assert newer.findings_of("info") == ["not-modelled DestinationRule shop/a spec.brandNew"]
    assert wrong.findings_of("error") == ["unknown-field DestinationRule shop/a spec.brandOld"]


@pytest.mark.parametrize("text", ["{kind: ConfigMap}", "a: ["])
def test_a_file_without_definitions_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "crds.yaml").write_text(text)

    refused = run("--crds", tmp_path / "crds.yaml", tmp_path)

    assert refused.code == 2
    assert str(tmp_path / "crds.yaml") in refused.err
