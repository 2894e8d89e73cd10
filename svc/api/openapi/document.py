"""Build the OpenAPI document of the routes that a process serves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

import msgspec

from ..bodies import Problem
from .answer_headers import answer_headers
from .answer_headers import components as header_components
from .counter_operations import COUNTER_OPERATIONS
from .entry_operations import ENTRY_OPERATIONS
from .model import Answer, Body, Example, Kind, Operation
from .other_operations import BATCH_RESULTS, OTHER_OPERATIONS
from .parameters import EVERYWHERE, HEADERS, PATHS
from .problem_answers import Failure, all_failures, failures_of, render_failures
from .schemas import build_schemas, query_parameters, refer
from .sharing import share, used_of
from .story import STORY

OPERATIONS: Final = (*ENTRY_OPERATIONS, *COUNTER_OPERATIONS, *OTHER_OPERATIONS)
#: Pages for people, which are not a part of the contract: what is below one of these.
PAGES: Final = ("/docs", "/ui")

TAGS: Final = {
    "batch": "Many operations in one request.",
    "counters": "Exact, signed 64-bit counters.",
    "entries": "Values of any type, up to 1 MiB, under keys that look like paths.",
    "plain": "JSON objects at any path, and the visit counter.",
    "service": "What this service can do.",
}

_ABOUT: Final = """\
A key-value and counter service over Redis.

- Every `GET` also answers `HEAD`, and every route answers `OPTIONS` with 204 and `Allow`.
- A listing's path may end in a slash.
- Each query parameter may be given once; an unknown one is refused below `/v1/`.
- An error is a problem (RFC 9457). `code` names it, `applied` says whether the change was made, \
`retryable` whether the same request can succeed later.
- `{key}` and `{path}` may hold slashes.

| Status | `code` | `applied` | `retryable` | What to do |
|---|---|---|---|---|
"""


def is_page(path: str) -> bool:
    """Return True if the route is for people."""
    return any(path == page or path.startswith(f"{page}/") for page in PAGES)


def build_document(routes: Iterable[tuple[str, str]], version: str) -> dict[str, Any]:
    """Return the document of these routes, each a method and a template as the router names it."""
    served = set(routes)
    operations = [each for each in OPERATIONS if (each.method, each.path) in served]
    paths: dict[str, Any] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    components: dict[str, Any] = {
        "schemas": _schemas(operations),
        "headers": header_components(),
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "Needed where the service has a file of tokens (`KV_TOKENS_FILE`)."
                " Each operation names the scope that it needs.",
            }
        },
    }
    share(paths, components, "responses")
    share(paths, components, "parameters")
    tags = {each.tag for each in operations}
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "tallykv",
            "version": version,
            "summary": "Entries and counters over HTTP",
            "description": _ABOUT + "\n".join(failure.row() for failure in all_failures()),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The service that this document is from."}],
        "tags": [
            {"name": name, "description": says} for name, says in TAGS.items() if name in tags
        ],
        "paths": paths,
        "components": components,
    }
    used = used_of(document)
    for section, found in components.items():
        if section != "securitySchemes":
            components[section] = {
                name: each for name, each in found.items() if (section, name) in used
            }
    return document


def render_document(routes: Iterable[tuple[str, str]], version: str) -> bytes:
    return msgspec.json.encode(build_document(routes, version))


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    kinds: set[Kind] = {Problem, *BATCH_RESULTS}
    failures: dict[str, Failure] = {}
    for each in operations:
        bodies = [*each.bodies, *chain.from_iterable(answer.bodies for answer in each.answers)]
        kinds |= {body.of for body in bodies if isinstance(body.of, type)}
        failures |= {failure.name: failure for failure in failures_of(each.errors)}
    schemas = build_schemas(kinds)
    codes = sorted({failure.code for failure in all_failures()})
    schemas["Problem"]["properties"]["code"] |= {"enum": codes}
    return schemas | {name: failure.schema() for name, failure in sorted(failures.items())}


def _operation(each: Operation) -> dict[str, Any]:
    examples = [example for example in STORY if example.of == each.id]
    once = "Idempotency-Key" in each.headers
    responses = {str(answer.status): _answer(answer, each) for answer in each.answers}
    responses |= render_failures(failures_of(dict.fromkeys(each.errors)), once=once)
    for example in examples:
        _show_answer(responses, example)
    found: dict[str, Any] = {
        "operationId": each.id,
        "tags": [each.tag],
        "summary": each.summary,
        "description": each.says,
        "security": [],
        "parameters": [*_parameters(each, examples)],
        "responses": dict(sorted(responses.items())),
    }
    if each.scope is not None:
        found["security"] = [{}, {"token": [each.scope] if each.scope else []}]
    if each.bodies:
        found["requestBody"] = _request_body(each, examples)
    return found


def _parameters(each: Operation, examples: list[Example]) -> Iterable[dict[str, Any]]:
    for name in each.parameters:
        yield _with_examples(PATHS[name], examples)
    found = {one["name"]: one for kind in each.queries for one in query_parameters(kind)}
    yield from found.values()
    for name in (*each.headers, *EVERYWHERE):
        yield dict(HEADERS[name])


def _shown(example: Example, value: Any) -> dict[str, Any]:
    """Return an example of a body. What else is sent is told in words.

    A page fills examples of parameters into its fields, where nobody wants another's ETag.
    """
    found = {
        "summary": example.summary,
        "value": value.decode() if isinstance(value, bytes) else value,
    }
    sent = [f"`{name}: {text}`" for name, text in example.headers.items()]
    sent += [f"`?{name}={text}`" for name, text in example.query.items()]
    if sent:
        found["description"] = f"With {', '.join(sent)}."
    return found


def _with_examples(parameter: Mapping[str, Any], examples: list[Example]) -> dict[str, Any]:
    name = parameter["name"]
    given = {
        example.name: {"summary": example.summary, "value": example.path[name]}
        for example in examples
    }
    return {**parameter, "examples": given}


def _schema(body: Body) -> dict[str, Any]:
    return refer(body.of) if isinstance(body.of, type) else dict(body.of)


def _request_body(each: Operation, examples: list[Example]) -> dict[str, Any]:
    content = {body.media: {"schema": _schema(body)} for body in each.bodies}
    for example in examples:
        if example.body is not None:
            shown = content[example.media].setdefault("examples", {})
            shown[example.name] = _shown(example, example.body)
    return {"required": each.needs_body, "content": content}


def _answer(answer: Answer, each: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": answer.says,
        "headers": answer_headers(answer.headers),
    }
    if answer.bodies:
        found["content"] = {body.media: {"schema": _schema(body)} for body in answer.bodies}
    if each.links and answer.bodies:
        found["links"] = {
            link.name: {
                "operationId": link.operation,
                "parameters": dict(link.parameters),
                "description": link.says,
            }
            for link in each.links
        }
    return found


def _show_answer(responses: dict[str, Any], example: Example) -> None:
    if example.answer is not None:
        content = responses[str(example.status)]["content"]
        shown = content[example.answer_media].setdefault("examples", {})
        shown[example.name] = _shown(example, example.answer)
