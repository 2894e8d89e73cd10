"""What the document says of one operation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...domain.access import Scope
from ...domain.errors import DomainError
from ..bodies import NoQuery

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

Kind = type[msgspec.Struct]


class Body(msgspec.Struct, frozen=True):
    """A body of one media type: of a type of bodies.py, or of this schema."""

    media: str
    of: Kind | Mapping[str, Any]


#: Of a watch, docs/reference/http.md lists its events.
EVENTS: Final = Body(
    "text/event-stream",
    {
        "type": "string",
        "description": "Server-sent events: `entry`, `counter`, `deleted`, `synced`, `reset`,"
        " `goodbye`, each with JSON as its data and an id for `Last-Event-ID`.",
    },
)
STREAM: Final = ("X-Accel-Buffering?", "X-Content-Type-Options?")


class Answer(msgspec.Struct, frozen=True):
    """A response that is no error. ``headers`` are names of answer_headers.py."""

    status: int
    says: str
    bodies: tuple[Body, ...] = ()
    headers: tuple[str, ...] = ()


class Link(msgspec.Struct, frozen=True):
    """What can be done next with an answer (OpenAPI 3.1 §4.8.20)."""

    name: str
    operation: str
    parameters: Mapping[str, str]
    says: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one route. ``path`` is the route's template, as the router names it."""

    id: str
    method: str
    path: str
    tag: str
    summary: str
    says: str
    #: The scope that a token needs; "": any token; None: no token is asked for.
    scope: Scope | None | str
    parameters: tuple[str, ...] = ()
    #: The types that parse the query: one for each form of the request.
    queries: tuple[Kind, ...] = (NoQuery,)
    headers: tuple[str, ...] = ()
    bodies: tuple[Body, ...] = ()
    needs_body: bool = True
    answers: tuple[Answer, ...]
    errors: tuple[type[DomainError], ...] = ()
    links: tuple[Link, ...] = ()


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer. A test sends all of them, in order, and compares."""

    of: str
    name: str
    summary: str
    path: Mapping[str, str] = {}
    query: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    #: Bytes are sent as they are, anything else as JSON.
    body: Any = None
    media: str = JSON
    status: int
    answer_headers: Mapping[str, str] = {}
    answer: Any = None
    answer_media: str = JSON
