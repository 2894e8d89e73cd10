"""All routes: the URL table of both ports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from aiohttp import web

from . import admin, batch, counters, docs, entries, limits, plain, prefix_deletion, status, ui
from .preconditions import without_etag
from .requests import without_query
from .watch import check_counters, check_entries


class Busy(NamedTuple):
    """A route with a fast path in serving/dispatch.py: ``<before>{variable}<after>``."""

    before: str
    variable: str
    after: str
    may_have_slashes: bool


#: Nearly all requests use these routes.
BUSY: Final = (
    Busy("/v1/kv/", "key", "", may_have_slashes=True),
    Busy("/v1/counters/", "name", "/increments", may_have_slashes=False),
)


def traffic_routes(roles: frozenset[str]) -> Iterator[web.RouteDef]:
    """Return the routes of the traffic port, for the roles that this process serves."""
    yield web.get("/v1/limits", without_query(without_etag(limits.read)))
    yield web.get("/v1/status", without_query(without_etag(status.read)))
    yield web.post("/v1/batch", batch.run)
    yield web.get("/v1/openapi.json", without_query(docs.read_contract))
    yield web.get("/docs", docs.read_page)
    yield web.get("/docs/", docs.show_page)
    yield web.get("/docs/{asset}", docs.read_page)
    yield web.get("/ui", ui.read_page)
    yield web.get("/ui/{asset:[^/]*}", ui.read_asset)

    if "kv" in roles:
        key = "/v1/kv/{key:(?s:.+)}"
        yield web.get(key, entries.read)
        yield web.put(key, entries.write)
        yield web.patch(key, entries.patch)
        yield web.delete(key, entries.delete)
        yield web.post(key, entries.create)
        for path in ("/v1/kv", "/v1/kv/"):
            yield web.get(path, without_etag(entries.list_page, check_entries))
        # Without a slash alone: a path that has lost its key must not delete more than one entry.
        yield web.delete("/v1/kv", prefix_deletion.delete_entries)

    if "counters" in roles:
        name = "/v1/counters/{name}"
        yield web.get(name, counters.read)
        yield web.put(name, counters.write)
        yield web.delete(name, counters.delete)
        yield web.post(name + "/increments", counters.increment)
        for path in ("/v1/counters", "/v1/counters/"):
            yield web.get(path, without_etag(counters.list_page, check_counters))
        yield web.delete("/v1/counters", prefix_deletion.delete_counters)

    if "kv" in roles:
        yield web.get("/", without_etag(plain.hit, plain.read_operation))
        # Any other path is an entry's, unless its first segment is reserved for the service, or is
        # a misspelling of one that is.
        path = "/{path:(?s:(?!(?i:v1|docs|ui)(?:/|%2[Ff]|$)).+)}"
        yield web.get(path, plain.read)
        yield web.put(path, plain.write)


def admin_routes() -> Iterator[web.RouteDef]:
    """Return the routes of the admin port."""
    yield web.get("/livez", admin.livez)
    yield web.get("/readyz", admin.readyz)
    yield web.get("/statusz", admin.statusz)
    yield web.get("/version", admin.version)
    yield web.get("/metrics", admin.metrics)
