"""``/v1/status``: who answers, in which state, and what the caller may do.

It shows what errors and headers of answers show as well, and the caller's own token. The store's
failures are for the scope ``admin``, as at ``/statusz``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from aiohttp import web

from ..domain.access import SCOPES, Grant
from ..domain.errors import DomainError
from ..domain.model import StoreFailure, StoreInfo
from ..domain.store import Store
from .context import IDENTITY, LIFECYCLE, ROLES, STORE
from .rendering import render_json


class Granting(msgspec.Struct, frozen=True):
    """There if tokens are needed. ``grant`` returns that of the current request's token."""

    grant: Callable[[], Grant]


GRANTING: Final = web.AppKey("granting", Granting)
#: Without tokens, whoever reaches the service may do everything.
ALL: Final = Grant("", frozenset(SCOPES))


class Look(msgspec.Struct, frozen=True):
    """What a store said: nothing in ``info`` if it does not answer, and then the error's code."""

    state: str
    info: StoreInfo | None
    error: str | None
    took_ms: float

    @property
    def is_fine(self) -> bool:
        return self.info is not None and self.info.loaded_ratio >= 1


class StoreShown(msgspec.Struct, frozen=True):
    """``state`` is as at ``/statusz``. ``failures`` are those of the last minute."""

    state: str
    error: str | None
    loaded_ratio: float | None
    failures: Sequence[StoreFailure]


class CallerShown(msgspec.Struct, frozen=True):
    """``token`` is the id of the caller's token; None: no token is needed here."""

    token: str | None
    scopes: Sequence[str]
    keys: Sequence[str]
    counters: Sequence[str]


class ServiceStatus(msgspec.Struct, frozen=True):
    """The response of ``/v1/status``."""

    status: str
    version: str
    track: str
    pod: str
    roles: Sequence[str]
    store: StoreShown
    caller: CallerShown


async def look_at(store: Store) -> Look:
    """Ask the store how it is. Never raises."""
    started = time.perf_counter()
    info = error = None
    try:
        info = await store.ping()
    except DomainError as failure:
        error = failure.slug
    took_ms = round((time.perf_counter() - started) * 1000, 3)
    is_loading = info is not None and info.loaded_ratio < 1
    state = "failing" if info is None else "loading" if is_loading else "serving"
    own = await store.own_state()
    return Look(state if own in {None, "serving"} else str(own), info, error, took_ms)


def status_of(look: Look, *, is_draining: bool) -> str:
    return "draining" if is_draining else "ok" if look.is_fine else "degraded"


async def read(request: web.Request) -> web.Response:
    app = request.app
    who = app[IDENTITY]
    grant = app[GRANTING].grant() if GRANTING in app else ALL
    roles = app[ROLES]
    look = await look_at(app[STORE])
    response = render_json(
        ServiceStatus(
            status=status_of(look, is_draining=app[LIFECYCLE].draining),
            version=who.version,
            track=who.track,
            pod=who.pod,
            roles=sorted(roles),
            store=StoreShown(
                look.state,
                look.error,
                look.info.loaded_ratio if look.info is not None and not look.is_fine else None,
                app[STORE].failures() if "admin" in grant.scopes else (),
            ),
            caller=CallerShown(
                grant.id if GRANTING in app else None,
                [scope for scope in SCOPES if scope in grant.scopes],
                grant.keys,
                grant.counters,
            ),
        )
    )
    response.headers["Cache-Control"] = "no-store"
    return response
