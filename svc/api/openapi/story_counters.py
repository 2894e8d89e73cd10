"""Examples of the operations on counters. Pure."""

from __future__ import annotations

from typing import Final

from .model import EVENTS, PROBLEM, Example
from .story_parts import AS_WATCH, refused, told

_UNCHANGED: Final = "the sum would pass the given bound; the value is unchanged"
_STOCK: Final = {"name": "stock", "value": 0, "value_text": "0", "ttl": None, "etag": '"0"'}

COUNTER_STORY: Final = (
    Example(
        of="setCounter",
        name="set",
        summary="A stock of ten",
        path={"name": "stock"},
        body={"value": 10},
        status=200,
        answer_headers={"ETag": '"10"'},
        answer={
            "name": "stock",
            "value": 10,
            "value_text": "10",
            "previous": None,
            "previous_text": None,
            "ttl": None,
        },
    ),
    Example(
        of="incrementCounter",
        name="order",
        summary="Take three, at most once, and never below zero",
        path={"name": "stock"},
        headers={"Idempotency-Key": "order-7"},
        body={"by": -3, "min": 0},
        status=200,
        answer={"name": "stock", "value": 7, "value_text": "7", "applied_by": -3},
    ),
    Example(
        of="incrementCounter",
        name="again",
        summary="A retry gets the first answer",
        path={"name": "stock"},
        headers={"Idempotency-Key": "order-7"},
        body={"by": -3, "min": 0},
        status=200,
        answer_headers={"Idempotency-Replayed": "true"},
        answer={"name": "stock", "value": 7, "value_text": "7", "applied_by": -3},
    ),
    Example(
        of="incrementCounter",
        name="other",
        summary="The same key for something else",
        path={"name": "stock"},
        headers={"Idempotency-Key": "order-7"},
        body={"by": -4, "min": 0},
        status=422,
        answer=refused(
            422,
            "idempotency_mismatch",
            "Idempotency-Key: it was used before with another payload",
        ),
        answer_media=PROBLEM,
    ),
    Example(
        of="incrementCounter",
        name="bound",
        summary="More than there is",
        path={"name": "stock"},
        body={"by": -8, "min": 0},
        status=409,
        answer=refused(409, "counter_bound", _UNCHANGED),
        answer_media=PROBLEM,
    ),
    Example(
        of="incrementCounter",
        name="clamp",
        summary="As much as there is",
        path={"name": "stock"},
        body={"by": -8, "min": 0, "on_bound": "clamp"},
        status=200,
        answer={"name": "stock", "value": 0, "value_text": "0", "applied_by": -7},
    ),
    Example(
        of="readCounter",
        name="read",
        summary="The value",
        path={"name": "stock"},
        status=200,
        answer_headers={"ETag": '"0"'},
        answer={"name": "stock", "value": 0, "value_text": "0", "ttl": None},
    ),
    Example(
        of="readCounter",
        name="unchanged",
        summary="Only if it changed",
        path={"name": "stock"},
        headers={"If-None-Match": '"0"'},
        status=304,
        answer_headers={"ETag": '"0"'},
    ),
    Example(
        of="readCounter",
        name="watch",
        summary="A watch: the value now, then each change",
        path={"name": "stock"},
        headers=AS_WATCH,
        status=200,
        answer=told(("counter", "0", _STOCK), ("synced", "0", {})),
        answer_media=EVENTS.media,
    ),
    Example(
        of="listCounters",
        name="watch",
        summary="A watch of counters by prefix",
        query={"prefix": "sto"},
        headers=AS_WATCH,
        status=200,
        answer=told(("counter", "-", _STOCK), ("synced", "5dfa92bcbe7b.3", {})),
        answer_media=EVENTS.media,
    ),
    Example(
        of="listCounters",
        name="all",
        summary="All counters",
        status=200,
        answer={
            "items": [{"name": "stock", "value": 0, "value_text": "0", "ttl": None}],
            "next_cursor": None,
        },
    ),
    Example(
        of="deleteCounter",
        name="delete",
        summary="Delete it while it is zero",
        path={"name": "stock"},
        headers={"If-Match": '"0"'},
        status=204,
    ),
    Example(
        of="readCounter",
        name="missing",
        summary="No such counter",
        path={"name": "stock"},
        status=404,
        answer=refused(404, "counter_missing", "there is no such counter"),
        answer_media=PROBLEM,
    ),
    Example(
        of="deleteCounters",
        name="none",
        summary="There is none any more",
        query={"prefix": "stock"},
        status=200,
        answer={"deleted": 0, "next_cursor": None},
    ),
)
