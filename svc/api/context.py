"""What the handlers find in the application, put there by app.py."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from ..domain.store import Store
from ..telemetry.signals import Signals


class Identity(msgspec.Struct, frozen=True):
    """Who answers: sent with every response, so that a rollout can be watched from outside."""

    version: str
    track: str
    pod: str


class Limits(msgspec.Struct, frozen=True):
    """What a request may ask for; shown at ``/v1/limits``."""

    max_value_bytes: int
    max_json_depth: int
    max_key_bytes: int
    max_batch_operations: int
    max_batch_bytes: int
    max_page_items: int
    max_ttl_seconds: int
    default_ttl_seconds: int
    idempotency_ttl_seconds: int
    header_timeout_seconds: float
    body_timeout_seconds: float
    store_timeout_ms: int
    max_in_flight: int


class Lifecycle:
    """Whether this process wants traffic. Mutable, because a started application is frozen."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.in_flight = 0


STORE: Final = web.AppKey("store", Store)
IDENTITY: Final = web.AppKey("identity", Identity)
LIMITS: Final = web.AppKey("limits", Limits)
ROLES: Final = web.AppKey("roles", frozenset[str])
LIFECYCLE: Final = web.AppKey("lifecycle", Lifecycle)
SIGNALS: Final = web.AppKey("signals", Signals)
