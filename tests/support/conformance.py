"""Every answer of a service in a test's process, compared with the OpenAPI document.

So each test of the API is a test of the document too: a status, an error code, a header or a member
that the document does not have is found by the test that provokes it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

import jsonschema_rs
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from svc.api.answer import Answer
from svc.api.context import Identity
from svc.api.openapi.document import OPERATIONS, build_document, is_page
from svc.serving.head_starts import HeadStarts

#: What the connection adds, which no middleware sees; api/test_identity_headers.py looks for it.
BY_CONNECTION: Final = frozenset(map(str.lower, HeadStarts(Identity("", "", "")).names))
#: Of HTTP itself, of CORS and of tests' own middlewares: on any answer.
ANYWHERE: Final = frozenset(
    {
        "allow",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "retry-after",
        "server",
        "transfer-encoding",
        "vary",
    }
)
#: Longer bodies are not looked into.
MOST_BYTES: Final = 65_536


class Expected:
    """What the document says of one status of an operation."""

    def __init__(self, response: dict[str, Any], document: dict[str, Any]) -> None:
        headers = {
            name.lower(): resolve(each, document) for name, each in response["headers"].items()
        }
        self.headers = set(headers)
        self.required = {name for name, each in headers.items() if each.get("required")}
        self.validators = {
            media: jsonschema_rs.Draft202012Validator(
                {**each["schema"], "components": {"schemas": document["components"]["schemas"]}}
            )
            for media, each in response.get("content", {}).items()
        }


def resolve(part: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return the component that a reference is to, or the part itself."""
    while "$ref" in part:
        _, _, section, name = part["$ref"].split("/")
        part = document["components"][section][name]
    return part


@cache
def contract() -> dict[tuple[str, str], dict[int, Expected]]:
    """Return what is expected, by method and template, and by status."""
    document = build_document([(each.method, each.path) for each in OPERATIONS], "0")
    return {
        (method.upper(), path): {
            int(status): Expected(resolve(response, document), document)
            for status, response in operation["responses"].items()
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def complaints(request: web.Request, response: web.StreamResponse) -> list[str]:
    """Return what the document does not say of this answer."""
    resource = request.match_info.route.resource
    if resource is None or request.method == "OPTIONS" or response.status == 405:
        return []
    path = resource.canonical
    if is_page(path):
        return []
    method = "GET" if request.method == "HEAD" else request.method
    expected = contract().get((method, path)) or contract().get((method, path.rstrip("/")))
    if expected is None:
        return [f"{method} {path}: it has no such operation"]
    if response.status not in expected:
        return [f"{method} {path}: it has no status {response.status}"]
    said = expected[response.status]
    headers = headers_of(response)
    names = {name.lower() for name in headers} | BY_CONNECTION
    names -= ANYWHERE
    names = {name for name in names if not name.startswith("access-control-")}
    found = [f"a header {name}" for name in sorted(names - said.headers)]
    found += [f"an answer without {name}" for name in sorted(said.required - names - ANYWHERE)]
    if request.method != "HEAD":
        found += _wrong_body(response, headers, said)
    return [f"{method} {path}: {response.status} has {each}" for each in found]


def headers_of(response: web.StreamResponse) -> CIMultiDict[str]:
    """Return the headers of an answer, but for those that the connection adds."""
    headers = CIMultiDict(response.headers)
    if isinstance(response, Answer):
        headers.update(response.common.headers)
    return headers


def _wrong_body(
    response: web.StreamResponse, headers: CIMultiDict[str], said: Expected
) -> list[str]:
    body = getattr(response, "body", None)
    if not body:
        return []
    media = headers.get("Content-Type", "application/octet-stream").partition(";")[0]
    validator = said.validators.get(media)
    if validator is None:
        return [] if "*/*" in said.validators else [f"a body of type {media}"]
    if "json" not in media or not isinstance(body, bytes) or len(body) > MOST_BYTES:
        return []
    if headers.get("Content-Encoding"):
        return []
    instance = json.loads(body)
    if validator.is_valid(instance):
        return []
    return [f"a body that its schema refuses: {body[:300]!r}"]


class Conformance:
    """Collects the complaints about the answers of one application."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    def middleware(self) -> Middleware:
        """Return the middleware that looks at each answer, outside of all others."""

        @web.middleware
        async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            self.found |= dict.fromkeys(complaints(request, response))
            return response

        return look

    def assert_none(self) -> None:
        assert not self.found, "the OpenAPI document lacks: " + "; ".join(self.found)
