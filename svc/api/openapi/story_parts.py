"""Parts that examples share. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

#: Sent with a request, it makes a read a watch.
AS_WATCH: Final = {"Accept": "text/event-stream"}
TRACE_ID: Final = "7d874dfb9bfd30ad0fb05185ee0d215b"
DEFAULT_TTL: Final = 31_104_000


def etag(number: int) -> str:
    return f'"47db0c0eb20f6210528a{number:012d}"'


def written(key: str, number: int, ttl: int | None = DEFAULT_TTL) -> dict[str, Any]:
    return {"key": key, "etag": etag(number), "ttl": ttl}


def refused(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """Return a problem that says: nothing was applied, and it is no use to send it again."""
    return {
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "applied": "no",
        "retryable": False,
        "type": f"urn:tallykv:problem:{code}",
        "trace_id": TRACE_ID,
        **more,
    }


def told(*events: tuple[str, str, Mapping[str, Any]]) -> str:
    """Return the beginning of a watch: events by their name, id and data."""
    parts = [
        f"id: {position}\nevent: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
        for name, position, data in events
    ]
    return "retry: 1000\n\n" + "".join(parts)
