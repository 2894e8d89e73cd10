"""The keys under which app.py stores objects in the application, for the handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from ..domain.store import Store
from ..telemetry.signals import Signals


class Identity(msgspec.Struct, frozen=True):
    """The pod that answers. Every response names it, so that clients can watch a rollout."""

    version: str
    track: str
    pod: str


class Lifecycle:
    """The state of the process. Mutable, because a started application is frozen."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        #: True once anybody asked ``/readyz``, and so may wait for it to fail.
        self.probed = False
        #: Requests that are being served; this is what ``max_in_flight`` limits.
        self.in_flight = 0
        #: Requests that wait until they are.
        self.waiting = 0
        #: Requests whose bodies are still arriving, and those whose answers are not yet sent.
        self.receiving = 0
        self.sending = 0
        #: Watches: they may take hours, so they are neither limited with requests nor counted so.
        self.watching = 0

    @property
    def active(self) -> int:
        """Return the number of requests under way."""
        return self.in_flight + self.waiting + self.receiving + self.sending


#: Takes the permits that a batch's operations need, by class. Raises RateLimited.
Charge = Callable[[web.Request, Mapping[str, int]], Awaitable[None]]


class Charging(msgspec.Struct, frozen=True):
    """There if requests are limited."""

    charge: Charge


CHARGING: Final = web.AppKey("charging", Charging)
STORE: Final = web.AppKey("store", Store)
IDENTITY: Final = web.AppKey("identity", Identity)
ROLES: Final = web.AppKey("roles", frozenset[str])
LIFECYCLE: Final = web.AppKey("lifecycle", Lifecycle)
SIGNALS: Final = web.AppKey("signals", Signals)
