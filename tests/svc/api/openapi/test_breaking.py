"""A change that breaks clients of the last release fails here, and each rule sees its breach."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.svc.api.openapi.breaking import breaks
from tests.svc.api.openapi.documents import RELEASED, built, released
from tests.svc.api.openapi.lint import resolve

WHAT_TO_DO: Final = f"""\
this breaks clients of the last release:
  {{}}
Keep what they use, and put what is new beside it. If it is meant all the same, the next release is
a new major version: say so in CHANGELOG.md under Removed or Changed, and take the new document for
the one to compare with: python -m tests.svc.api.openapi.release writes {RELEASED.name}.
"""
Edit = Callable[[dict[str, Any]], object]
LONGER: Final = "the query parameter prefix: maxLength was 512, and is 5"


def operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


def put(document: dict[str, Any]) -> dict[str, Any]:
    return operation(document, "put", "/v1/kv/{key}")


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def member(document: dict[str, Any], name: str, of: str) -> dict[str, Any]:
    found: dict[str, Any] = schema(document, of)["properties"][name]
    return found


def parameter(document: dict[str, Any], name: str, method: str, path: str) -> dict[str, Any]:
    """Return the parameter, changed for this operation alone."""
    parameters = operation(document, method, path)["parameters"]
    for index, each in enumerate(parameters):
        parameters[index] = copy.deepcopy(resolve(document, each))
    return next(each for each in parameters if each["name"] == name)


#: An edit of the document, and the beginning of the sentence about it.
BREAKING: Final[dict[str, tuple[Edit, str]]] = {
    "path": (lambda d: d["paths"].pop("/v1/limits"), "GET /v1/limits: it was removed"),
    "method": (
        lambda d: d["paths"]["/v1/kv/{key}"].pop("patch"),
        "PATCH /v1/kv/{key}: it was removed",
    ),
    "operationId": (lambda d: put(d).update(operationId="x"), "PUT /v1/kv/{key}: operationId was"),
    "token": (
        lambda d: put(d).update(security=[{"token": ["write"]}]),
        "PUT /v1/kv/{key}: it needs a token now",
    ),
    "scope": (
        lambda d: put(d).update(security=[{}, {"token": ["admin"]}]),
        "PUT /v1/kv/{key}: a token needs the scope admin now",
    ),
    "parameter": (
        lambda d: put(d)["parameters"].pop(1),
        "PUT /v1/kv/{key}: the query parameter ttl was removed",
    ),
    "required parameter": (
        lambda d: parameter(d, "ttl", "put", "/v1/kv/{key}").update(required=True),
        "PUT /v1/kv/{key}: the query parameter ttl is required now",
    ),
    "new required parameter": (
        lambda d: put(d)["parameters"].append(
            {"name": "x", "in": "query", "required": True, "schema": {}}
        ),
        "PUT /v1/kv/{key}: the query parameter x is new and required",
    ),
    "narrower limit": (
        lambda d: parameter(d, "prefix", "get", "/v1/kv")["schema"].update(maxLength=5),
        f"GET /v1/kv: {LONGER}",
    ),
    "narrower minimum": (
        lambda d: parameter(d, "limit", "get", "/v1/kv")["schema"].update(minimum=2),
        "GET /v1/kv: the query parameter limit: minimum was 1, and is 2",
    ),
    "new limit": (
        lambda d: member(d, "counter", "AddOperation").update(minLength=2),
        "POST /v1/batch: the body: the member operations: an item: the member counter: minLength",
    ),
    "default": (
        lambda d: parameter(d, "limit", "get", "/v1/kv")["schema"].update(default=10),
        "GET /v1/kv: the query parameter limit: default was 100",
    ),
    "pattern": (
        lambda d: parameter(d, "key", "put", "/v1/kv/{key}")["schema"].update(pattern="^a$"),
        "PUT /v1/kv/{key}: the path parameter key: pattern was",
    ),
    "type of a parameter": (
        lambda d: parameter(d, "ttl", "put", "/v1/kv/{key}")["schema"].update(type="integer"),
        "PUT /v1/kv/{key}: the query parameter ttl may not be string now",
    ),
    "value of a set": (
        lambda d: member(d, "on_bound", "IncrementBody").update(enum=["reject"]),
        "POST /v1/counters/{name}/increments: the body: the member on_bound: ['clamp'] is refused",
    ),
    "new set": (
        lambda d: member(d, "counter", "AddOperation").update(enum=["a"]),
        "POST /v1/batch: the body: the member operations: an item: the member counter:",
    ),
    "required body": (
        lambda d: put(d)["requestBody"].update(required=True),
        "PUT /v1/kv/{key}: a body is required now",
    ),
    "type of a body": (
        lambda d: put(d)["requestBody"]["content"].pop("text/plain"),
        "PUT /v1/kv/{key}: a body of type text/plain was allowed",
    ),
    "member of a request": (
        lambda d: schema(d, "IncrementBody")["properties"].pop("min"),
        "POST /v1/counters/{name}/increments: the body: the member min was removed",
    ),
    "required member": (
        lambda d: schema(d, "IncrementBody")["required"].append("by"),
        "POST /v1/counters/{name}/increments: the body: the member by is required now",
    ),
    "null in a request": (
        lambda d: member(d, "min", "IncrementBody").update(anyOf=[{"type": "integer"}]),
        "POST /v1/counters/{name}/increments: the body: the member min may not be null now",
    ),
    "kind of an operation": (
        lambda d: member(d, "operations", "BatchBody")["items"]["anyOf"].pop(),
        "POST /v1/batch: the body: the member operations: an item may not be an object Add",
    ),
    "other members": (
        lambda d: operation(d, "put", "/{path}")["requestBody"]["content"]["application/json"][
            "schema"
        ].update(additionalProperties=False),
        "PUT /{path}: the body: other members are refused now",
    ),
    "response": (
        lambda d: put(d)["responses"].pop("204"),
        "PUT /v1/kv/{key}: the response 204 was removed",
    ),
    "header of a response": (
        lambda d: put(d)["responses"]["201"]["headers"].pop("ETag"),
        "PUT /v1/kv/{key}: the response 201: the header ETag was always there",
    ),
    "header that is there at times": (
        lambda d: put(d)["responses"]["201"]["headers"].update(
            ETag={"$ref": "#/components/headers/ETag.optional"}
        ),
        "PUT /v1/kv/{key}: the response 201: the header ETag was always there",
    ),
    "type of a response": (
        lambda d: put(d)["responses"]["201"]["content"].pop("application/json"),
        "PUT /v1/kv/{key}: the response 201: it was application/json",
    ),
    "member of a response": (
        lambda d: schema(d, "EntryWritten")["properties"].pop("ttl"),
        "PUT /v1/kv/{key}: the response 200: the body: the member ttl was removed",
    ),
    "member that is there at times": (
        lambda d: schema(d, "EntryWritten")["required"].remove("ttl"),
        "PUT /v1/kv/{key}: the response 200: the body: the member ttl was always there",
    ),
    "null in a response": (
        lambda d: member(d, "etag", "EntryWritten").update(type=["string", "null"]),
        "PUT /v1/kv/{key}: the response 200: the body: the member etag may be null now",
    ),
    "wider limit of a response": (
        lambda d: member(d, "value", "CounterRead").pop("maximum"),
        "GET /v1/counters/{name}: the response 200: the body: the member value: maximum was",
    ),
    "code": (lambda d: d["components"]["schemas"].pop("NotJson"), "the error not_json: it was"),
    "applied": (
        lambda d: member(d, "applied", "StoreFull").update(const="unknown"),
        "the error store_full: applied was 'no'",
    ),
    "retryable": (
        lambda d: member(d, "retryable", "Overloaded").update(const=False),
        "the error overloaded: retryable was True",
    ),
    "status of an error": (
        lambda d: member(d, "status", "KeyMissing").update(const=410),
        "the error key_missing: status was 404",
    ),
}

HARMLESS: Final[dict[str, Edit]] = {
    "route": lambda d: d["paths"].update({"/v1/new": {"get": put(d)}}),
    "parameter": lambda d: put(d)["parameters"].append({"name": "x", "in": "query", "schema": {}}),
    "wider limit": lambda d: parameter(d, "prefix", "get", "/v1/kv")["schema"].pop("maxLength"),
    "value of a request": lambda d: member(d, "on_bound", "IncrementBody")["enum"].append("x"),
    "member of a request": lambda d: schema(d, "IncrementBody")["properties"].update(x={}),
    "member of a response": lambda d: schema(d, "EntryWritten")["properties"].update(x={}),
    "narrower response": lambda d: member(d, "value", "CounterRead").update(maximum=5),
    "type of a body": lambda d: put(d)["requestBody"]["content"].update({"a/b": {"schema": {}}}),
    "error": lambda d: put(d)["responses"].update({"418": {"description": ""}}),
    "no token": lambda d: put(d).update(security=[]),
    "words": lambda d: put(d).update(summary="x", description="y"),
    "other members": lambda d: schema(d, "IncrementBody").pop("additionalProperties"),
}


def test_no_change_breaks_clients_of_the_last_release() -> None:
    found = [*breaks(released(), built())]

    assert found == [], WHAT_TO_DO.format("\n  ".join(found))


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_clients_is_found(name: str) -> None:
    edit, said = BREAKING[name]
    changed = copy.deepcopy(built())
    edit(changed)

    assert [each for each in breaks(built(), changed) if each.startswith(said)], [
        *breaks(built(), changed)
    ]


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_nobody_is_not_found(name: str) -> None:
    changed = copy.deepcopy(built())
    HARMLESS[name](changed)

    assert changed != built()
    assert [*breaks(built(), changed)] == []
