"""The document of all routes, built once in a process."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from aiohttp import web

from svc import __version__
from svc.api.openapi.document import render_document
from svc.api.routes import traffic_routes
from tests.docs.pages import ROOT

#: The document of the last release, which clients may rely on.
RELEASED: Final = ROOT / "docs" / "reference" / "openapi.json"
ROLES: Final = frozenset({"kv", "counters"})


@cache
def routes(roles: frozenset[str] = ROLES) -> list[tuple[str, str]]:
    """Return the method and the template of each route, as the router names them."""
    app = web.Application()
    app.add_routes(traffic_routes(roles))
    return [
        (each.method, resource.canonical)
        for resource in app.router.resources()
        for each in resource
    ]


@cache
def built(roles: frozenset[str] = ROLES) -> dict[str, Any]:
    """Return the document as clients read it. Nobody may change it."""
    found: dict[str, Any] = json.loads(render_document(routes(roles), __version__))
    return found


@cache
def released() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RELEASED.read_text())
    return found
