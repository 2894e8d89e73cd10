"""Render what handlers answer: JSON, and the headers of a listing."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import msgspec
from multidict import CIMultiDict

from .answer import Answer, CommonHeaders
from .bodies import ListEntriesQuery, ListQuery

_encode: Final = msgspec.json.Encoder().encode
JSON: Final = CommonHeaders({"Content-Type": "application/json"})


def render_json(body: object, status: int = 200) -> Answer:
    # With a line's end: a terminal's prompt then begins a line.
    return Answer(_encode(body) + b"\n", CIMultiDict(), status, JSON)


def add_next_link(response: Answer, path: str, query: ListQuery, next_cursor: str | None) -> None:
    """Add a listing's headers: Cache-Control, and a Link to the next page (RFC 8288) if any."""
    response.headers["Cache-Control"] = "no-store"
    if next_cursor is not None:
        parameters = {"prefix": query.prefix, "limit": query.limit, "cursor": next_cursor}
        if isinstance(query, ListEntriesQuery) and query.include is not None:
            parameters["include"] = query.include
        response.headers["Link"] = f'<{path}?{urlencode(parameters)}>; rel="next"'
