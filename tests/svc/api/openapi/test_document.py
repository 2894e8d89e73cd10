"""The document and the service have the same routes, parameters, headers, bodies and errors."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from typing import Any, Final

import pytest

from svc.api import bodies
from svc.api.openapi.advice import ADVICE
from svc.api.openapi.document import OPERATIONS, is_page
from svc.api.openapi.model import Operation
from svc.api.openapi.parameters import HEADERS
from svc.api.problems import HTTP_CODES, STATUS
from svc.domain import errors
from tests.docs.pages import ROOT
from tests.svc.api.openapi.documents import built, routes
from tests.svc.api.openapi.lint import resolve
from tests.svc.api.test_header_table import CELLS, ROUTES, documented

REFERENCE: Final = ROOT / "docs" / "reference"
#: Headers that a connection is about, and those of content negotiation, are no parameters.
STATUS_TYPES: Final = ("ServiceStatus.", "StoreShown.", "CallerShown.", "StoreFailure.")
NO_PARAMETERS: Final = frozenset({"none", "Accept", "Expect", "Upgrade", "Transfer-Encoding"})


def operation_of(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = built()["paths"][path][method.lower()]
    return found


def parameters_of(operation: dict[str, Any], place: str) -> set[str]:
    found = [resolve(built(), each) for each in operation["parameters"]]
    return {each["name"] for each in found if each["in"] == place}


def codes_of(operation: dict[str, Any], status: int) -> set[str]:
    """Return the codes of the problems that a response may have."""
    response = resolve(built(), operation["responses"].get(str(status), {}))
    schema = response.get("content", {}).get("application/problem+json", {}).get("schema", {})
    found = [resolve(built(), each) for each in schema.get("oneOf", [schema])]
    return {each["properties"]["code"]["const"] for each in found if each}


def test_every_route_is_documented_and_every_operation_has_a_route() -> None:
    served = {
        (method, path.rstrip("/") or "/")
        for method, path in routes()
        if method != "HEAD" and not is_page(path)
    }
    documented = {
        (method.upper(), path) for path, methods in built()["paths"].items() for method in methods
    }

    # svc/api/openapi/*_operations.py is where an operation is added.
    assert served == documented


def test_a_role_has_the_operations_that_it_serves() -> None:
    counters = built(frozenset({"counters"}))["paths"]

    assert {path for path in built()["paths"] if "counters" in path} <= set(counters)
    assert not {"/v1/kv", "/v1/kv/{key}", "/", "/{path}"} & set(counters)
    assert "/v1/batch" in counters


def test_every_error_is_an_error_of_an_operation() -> None:
    documented = {
        (code, status)
        for methods in built()["paths"].values()
        for operation in methods.values()
        for status in map(int, operation["responses"])
        for code in codes_of(operation, status)
    }

    # No route, and no such method: there is no operation that could have these.
    of_http = {(code, status) for status, code in HTTP_CODES.items() if status not in {404, 405}}
    assert documented == {(each.slug, status) for each, status in STATUS.items()} | of_http


@pytest.mark.parametrize("error", STATUS, ids=lambda error: error.slug)
def test_an_error_says_what_it_means_for_the_change_and_for_a_retry(
    error: type[errors.DomainError],
) -> None:
    name = "".join(word.capitalize() for word in error.slug.split("_"))
    said = built()["components"]["schemas"][name]["properties"]

    assert {member: each["const"] for member, each in said.items()} == {
        "status": STATUS[error],
        "code": error.slug,
        "applied": error.applied,
        "retryable": error.retryable,
    }


def test_the_advice_is_that_of_the_reference() -> None:
    rows = re.findall(
        r"^\| \d+ \| `(\w+)` \| \w+ \|[^|]*\| (.*) \|$",
        (REFERENCE / "errors.md").read_text(),
        re.MULTILINE,
    )

    assert {code: re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", advice) for code, advice in rows} == ADVICE


@pytest.mark.parametrize(
    "cell",
    [cell for cell in CELLS if cell.header not in NO_PARAMETERS and "OPTIONS" not in cell.route],
    ids=lambda cell: f"{cell.route}, {cell.header}",
)
def test_a_header_that_changes_an_answer_is_documented(cell: Any) -> None:
    """By the table of headers, each cell of which is a request."""
    route = ROUTES[cell.route]
    method = "GET" if route.method == "HEAD" else route.method
    template = re.sub(r"/(counters)/\w+", r"/\1/{name}", route.path.partition("?")[0])
    if cell.route in {"GET docs", "GET page", "GET page file"}:
        return  # a page for people
    template = "/v1/kv/{key}" if template.startswith("/v1/kv/") else template
    operation = operation_of(method, "/{path}" if template == "/a" else template)
    effect = documented(cell)

    if effect != "-":
        if effect.isdigit():
            assert effect in operation["responses"]
        if effect != "400" and cell.header != "Content-Range":
            assert cell.header in parameters_of(operation, "header")
    elif route.method != "HEAD":
        assert cell.header not in parameters_of(operation, "header")


def test_every_header_parameter_is_used() -> None:
    used = {
        name
        for methods in built()["paths"].values()
        for operation in methods.values()
        for name in parameters_of(operation, "header")
    }

    assert used == set(HEADERS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_the_query_is_that_of_the_type_that_parses_it(operation: Operation) -> None:
    found = operation_of(operation.method, operation.path)

    assert parameters_of(found, "query") == {
        name for kind in operation.queries for name in kind.__struct_fields__
    }
    assert found["operationId"] == operation.id


def test_every_type_of_a_body_is_in_the_document() -> None:
    kinds = {
        name
        for name, each in inspect.getmembers(bodies, inspect.isclass)
        if each.__module__ == bodies.__name__ and not name.endswith("Query")
    }

    assert kinds <= set(built()["components"]["schemas"])


def test_every_field_says_what_it_is() -> None:
    schemas = built()["components"]["schemas"]
    silent = [
        f"{name}.{member}"
        for name, schema in schemas.items()
        for member, each in schema.get("properties", {}).items()
        if not {"description", "const"} & set(each) and member != "op"
    ]

    # Their names and units say it; docs/reference/limits.md says more.
    assert [each for each in silent if not each.startswith(("Limits.", *STATUS_TYPES))] == []


def test_a_process_that_nobody_asks_does_not_load_the_document() -> None:
    program = "import svc.app, sys, json; print(json.dumps(sorted(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, timeout=300
    )

    loaded = json.loads(done.stdout)
    assert "svc.api.docs" in loaded
    assert [each for each in loaded if "openapi" in each] == []
