"""The document passes openapi-spec-validator and every rule of lint.py, and no rule is blind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.svc.api.openapi import lint
from tests.svc.api.openapi.documents import built

Breaks = Callable[[dict[str, Any]], object]


def first(document: dict[str, Any]) -> dict[str, Any]:
    """Return the operation that the breaks below are made in."""
    found: dict[str, Any] = document["paths"]["/v1/kv/{key}"]["put"]
    return found


def body(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = first(document)["requestBody"]["content"]["text/plain"]
    return found


def parameter(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = (lint.resolve(document, each) for each in first(document)["parameters"])
    return next(each for each in found if each["name"] == name)


#: For each rule, a change that breaks it alone or among others.
BREAKS: Final[dict[lint.Rule, Breaks]] = {
    lint.operation_operation_id: lambda d: first(d).pop("operationId"),
    lint.operation_operation_id_unique: lambda d: first(d).update(operationId="readEntry"),
    lint.operation_operation_id_valid_in_url: lambda d: first(d).update(operationId="a b"),
    lint.operation_description: lambda d: first(d).pop("description"),
    lint.operation_summary: lambda d: first(d).update(summary="x" * 61),
    lint.operation_tags: lambda d: first(d).update(tags=[]),
    lint.operation_singular_tag: lambda d: first(d)["tags"].append("batch"),
    lint.operation_tag_defined: lambda d: first(d).update(tags=["other"]),
    lint.openapi_tags_alphabetical: lambda d: d["tags"].reverse(),
    lint.openapi_tags_uniqueness: lambda d: d["tags"].append(d["tags"][-1]),
    lint.tag_description: lambda d: d["tags"][0].pop("description"),
    lint.operation_success_response: lambda d: [
        first(d)["responses"].pop(status) for status in ("200", "201", "204")
    ],
    lint.operation_parameters: lambda d: first(d)["parameters"].append(parameter(d, "key")),
    lint.oas3_parameter_description: lambda d: parameter(d, "ttl").pop("description"),
    lint.oas3_header_description: lambda d: d["components"]["headers"]["ETag"].pop("description"),
    lint.path_params: lambda d: parameter(d, "key").update(name="other"),
    lint.path_keys_no_trailing_slash: lambda d: d["paths"].update({"/a/": {}}),
    lint.path_not_include_query: lambda d: d["paths"].update({"/a?b": {}}),
    lint.path_declarations_must_exist: lambda d: d["paths"].update({"/{}": {}}),
    lint.info_description: lambda d: d["info"].pop("description"),
    lint.info_license: lambda d: d["info"].pop("license"),
    lint.license_url: lambda d: d["info"]["license"].pop("identifier"),
    lint.oas3_api_servers: lambda d: d["servers"].clear(),
    lint.oas3_server_trailing_slash: lambda d: d["servers"][0].update(url="/a/"),
    lint.oas3_server_not_example_com: lambda d: d["servers"][0].update(url="//example.com"),
    lint.oas3_operation_security_defined: lambda d: first(d)["security"].append({"other": []}),
    lint.oas3_unused_component: lambda d: d["components"]["schemas"].update(Unused={}),
    lint.oas3_valid_media_example: lambda d: body(d)["examples"]["minimal"].update(value=1),
    lint.oas3_valid_schema_example: lambda d: parameter(d, "key")["examples"]["create"].update(
        value=""
    ),
    lint.oas3_examples_value_or_external_value: lambda d: body(d)["examples"]["minimal"].pop(
        "value"
    ),
    lint.array_items: lambda d: d["components"]["schemas"].update(A={"type": "array"}),
    lint.duplicated_entry_in_enum: lambda d: body(d)["schema"].update(enum=["a", "a"]),
    lint.typed_enum: lambda d: body(d)["schema"].update(enum=[1]),
    lint.no_eval_in_markdown: lambda d: first(d).update(description="eval(1)"),
    lint.no_script_tags_in_markdown: lambda d: first(d).update(description="<script>"),
}


def test_the_document_is_a_valid_one_of_openapi_3_1() -> None:
    assert [*OpenAPIV31SpecValidator(built()).iter_errors()] == []


@pytest.mark.parametrize("rule", BREAKS, ids=lambda rule: rule.__name__)
def test_the_document_keeps_a_rule_and_the_rule_sees_a_breach(rule: lint.Rule) -> None:
    assert [*rule(built())] == []

    broken = copy.deepcopy(built())
    BREAKS[rule](broken)

    assert [*rule(broken)]
