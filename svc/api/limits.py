"""The limits of a request, and ``/v1/limits``, which shows them."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from .rendering import render_json


class Limits(msgspec.Struct, frozen=True):
    """What a request may ask for, in the units that the names end with."""

    max_value_bytes: int
    max_json_depth: int
    max_json_nodes: int
    max_key_bytes: int
    max_batch_operations: int
    max_batch_bytes: int
    max_page_items: int
    max_ttl_seconds: int
    default_ttl_seconds: int
    idempotency_ttl_seconds: int
    header_timeout_seconds: float
    body_timeout_seconds: float
    send_timeout_seconds: float
    store_timeout_ms: int
    max_in_flight: int
    max_buffered_bytes: int
    max_watchers: int
    max_watchers_per_token: int
    max_watcher_bytes: int


LIMITS: Final = web.AppKey("limits", Limits)


async def read(request: web.Request) -> web.Response:
    return render_json(request.app[LIMITS])
