"""Examples of the batch, the limits and the plain API. Pure."""

from __future__ import annotations

from typing import Final

from .model import PROBLEM, Example
from .story_parts import DEFAULT_TTL, etag, refused

#: As a result of a batch: without a trace id, which the answer's header has.
_MISSING: Final = {
    name: value
    for name, value in refused(404, "key_missing", "there is no such entry").items()
    if name != "trace_id"
}

OTHER_STORY: Final = (
    Example(
        of="runBatch",
        name="mixed",
        summary="Writes and reads, each with a result of its own",
        body={
            "operations": [
                {"op": "put", "key": "flags/new-page", "value": {"on": True}},
                {"op": "put", "key": "logo", "value_b64": "iVBORw==", "content_type": "image/png"},
                {"op": "add", "counter": "views", "by": 2},
                {"op": "get", "key": "flags/new-page"},
                {"op": "get", "key": "flags/old-page"},
                {"op": "delete", "key": "logo"},
            ]
        },
        status=200,
        answer={
            "results": [
                {"status": 201, "key": "flags/new-page", "etag": etag(6), "ttl": DEFAULT_TTL},
                {"status": 201, "key": "logo", "etag": etag(7), "ttl": DEFAULT_TTL},
                {
                    "status": 200,
                    "name": "views",
                    "value": 2,
                    "value_text": "2",
                    "applied_by": 2,
                },
                {
                    "status": 200,
                    "key": "flags/new-page",
                    "etag": etag(6),
                    "ttl": DEFAULT_TTL,
                    "content_type": "application/json",
                    "value": {"on": True},
                },
                _MISSING,
                {"status": 204, "key": "logo"},
            ]
        },
    ),
    Example(
        of="readLimits",
        name="defaults",
        summary="The limits without settings",
        status=200,
        answer={
            "max_value_bytes": 1_048_576,
            "max_json_depth": 64,
            "max_json_nodes": 200_000,
            "max_key_bytes": 512,
            "max_batch_operations": 500,
            "max_batch_bytes": 4_194_304,
            "max_page_items": 1000,
            "max_ttl_seconds": 315_360_000,
            "default_ttl_seconds": DEFAULT_TTL,
            "idempotency_ttl_seconds": 900,
            "header_timeout_seconds": 10.0,
            "body_timeout_seconds": 10.0,
            "send_timeout_seconds": 10.0,
            "store_timeout_ms": 500,
            "max_in_flight": 1024,
            "max_buffered_bytes": 67_108_864,
            "max_watchers": 500,
            "max_watchers_per_token": 100,
            "max_watcher_bytes": 1_048_576,
        },
    ),
    Example(
        of="readStatus",
        name="open",
        summary="Without tokens, everybody may do everything",
        status=200,
        answer={
            "status": "ok",
            "version": "0.1.0",
            "track": "stable",
            "pod": "tallykv-0",
            "roles": ["counters", "kv"],
            "store": {"state": "serving", "error": None, "loaded_ratio": None, "failures": []},
            "caller": {
                "token": None,
                "scopes": ["read", "write", "delete", "admin"],
                "keys": [""],
                "counters": [""],
            },
        },
    ),
    Example(
        of="writeObject",
        name="create",
        summary="An object at any path",
        path={"path": "users/ada"},
        body={"name": "Ada", "score": 1.50},
        status=201,
        answer={"name": "Ada", "score": 1.50, "last_updated": 1_790_000_000, "ttl": DEFAULT_TTL},
    ),
    Example(
        of="readObject",
        name="read",
        summary="The object, and how long it lives",
        path={"path": "users/ada"},
        status=200,
        answer={"name": "Ada", "score": 1.50, "last_updated": 1_790_000_000, "ttl": DEFAULT_TTL},
    ),
    Example(
        of="writeObject",
        name="taken",
        summary="Create, but never replace",
        path={"path": "users/ada"},
        headers={"If-None-Match": "*"},
        body={"name": "Eve"},
        status=412,
        answer=refused(
            412, "precondition_failed", f"the entry's current ETag is {etag(8)}", etag=etag(8)
        ),
        answer_media=PROBLEM,
    ),
    Example(
        of="countVisit",
        name="text",
        summary="As text",
        status=200,
        answer="Count is 1.",
        answer_media="text/plain",
    ),
    Example(
        of="readContract",
        name="unchanged",
        summary="Only if it is another document",
        headers={"If-None-Match": "*"},
        status=304,
    ),
)
