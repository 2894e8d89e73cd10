"""What may be wrong with an API server: faults of single requests, and how it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from aiohttp import web

#: Of a ConfigMap's data, in bytes.
MAX_DATA_BYTES: Final = 1024 * 1024


class Stage(Enum):
    """How far the server has started; each stage answers in another way."""

    #: The port is open, nothing answers.
    HANGING = "hanging"
    #: RBAC is not loaded: 403, also for what is granted.
    NOT_LOADED = "not-loaded"
    #: Custom resources are not installed: 503, while core resources are there.
    INSTALLING = "installing"
    READY = "ready"


#: The stages of a start, in order.
START: Final = (Stage.HANGING, Stage.NOT_LOADED, Stage.INSTALLING, Stage.READY)


@dataclass
class Faults:
    """What goes wrong with the next requests of these ``methods``."""

    #: The response has this status, and the request has no effect.
    status: int | None = None
    #: The response has no JSON and no Content-Type, as from a proxy in front of the server.
    without_body: bool = False
    #: The connection is reset.
    reset: bool = False
    #: The request is applied before the fault.
    after_applying: bool = False
    #: There is no response.
    hang: bool = False
    #: The response has the status 200 and a body that is no JSON.
    garbage: bool = False
    methods: frozenset[str] = frozenset({"GET", "PATCH", "POST", "PUT"})
    #: The number of requests with this fault; None for all.
    times: int | None = None
    #: The kinds whose requests have it; None for all.
    plurals: frozenset[str] | None = None

    def take(self, method: str, plural: str) -> bool:
        if method not in self.methods or self.times == 0:
            return False
        if self.plurals is not None and plural not in self.plurals:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    async def inject(self, request: web.Request) -> tuple[int | None, web.StreamResponse | None]:
        """Return the status of the response, or the whole response."""
        if self.reset:
            assert request.transport is not None
            request.transport.abort()
            return None, web.Response()
        if self.hang:
            await asyncio.Event().wait()
        if self.garbage:
            return None, web.Response(text="<html>", content_type="text/html")
        if self.status is not None and self.without_body:
            # Written by hand, because aiohttp always sets Content-Type.
            assert request.transport is not None
            head = (
                f"HTTP/1.1 {self.status} Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            request.transport.write(head.encode())
            request.transport.close()
            return None, web.Response()
        return self.status, None


def allows(
    rules: Iterable[Mapping[str, Any]], verb: str, group: str, plural: str, name: str
) -> bool:
    """Return True if the rules of a Role grant a request. ``create`` and ``list`` have no name."""
    return any(
        verb in rule["verbs"]
        and group in rule["apiGroups"]
        and plural in rule["resources"]
        and (not rule.get("resourceNames") or name in rule["resourceNames"])
        for rule in rules
    )


def invalid_config_map(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> str | None:
    """Return why a ConfigMap is invalid, with the field's name as the server gives it."""
    data = new.get("data") or {}
    if sum(len(key) + len(value.encode()) for key, value in data.items()) > MAX_DATA_BYTES:
        return f"data: Too long: may not be more than {MAX_DATA_BYTES} bytes"
    if old is not None and old.get("immutable"):
        forbidden = "Forbidden: field is immutable when `immutable` is set"
        if not new.get("immutable"):
            return f"immutable: {forbidden}"
        if data != (old.get("data") or {}):
            return f"data: {forbidden}"
    return None
