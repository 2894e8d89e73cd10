"""A parameter that no operation has is refused by its name, on every route that says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest

from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.svc.api.openapi.documents import built, routes
from tests.svc.api.openapi.lint import resolve

#: Browsers and links add parameters, such as utm_source: GETs of these ignore the query.
IGNORING: Final = {("GET", "/"), ("GET", "/{path}")}
PAGES: Final = ("/docs", "/docs/", "/docs/swagger-ui.css", "/ui", "/ui/", "/ui/app.js")
UNKNOWN: Final = "ünknown/x"
BODIES: Final = {"application/merge-patch+json": b"{}", "application/json": b"{}"}


def refusing() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the method, the template and the operation of each route that refuses parameters."""
    for path, methods in built()["paths"].items():
        for method, operation in methods.items():
            if (method.upper(), path) not in IGNORING:
                yield method.upper(), path, operation


def path_of(template: str, method: str) -> str:
    filled = template.replace("{name}", "c").replace("{path}", "p")
    return filled.replace("{key}", "k/" if method == "POST" else "k")


def query_of(operation: dict[str, Any]) -> str:
    """Return what the operation needs, so that the unknown parameter alone is wrong."""
    parameters = [resolve(built(), each) for each in operation["parameters"]]
    needed = [each for each in parameters if each["in"] == "query" and each.get("required")]
    return "".join(f"{each['name']}=x&" for each in needed)


@pytest.fixture
async def service(shared_redis: RedisServer) -> AsyncIterator[Service]:
    async with running_service(Settings(store_url=shared_redis.url)) as running:
        yield running


async def test_an_unknown_parameter_is_refused_on_every_route_by_its_name(
    service: Service,
) -> None:
    asked = set[tuple[str, str]]()
    for method, template, operation in refusing():
        types = resolve(built(), operation.get("requestBody", {})).get("content", {})
        media = next((each for each in BODIES if each in types), None)
        path = f"{path_of(template, method)}?{query_of(operation)}{quote(UNKNOWN)}=1"
        for each in ("GET", "HEAD") if method == "GET" else (method,):
            asked.add((each, template))
            async with service.request(
                each,
                path,
                data=BODIES.get(media or "", None),
                headers={} if media is None else {"Content-Type": media},
            ) as answer:
                assert answer.status == 400, (each, path)
                if each != "HEAD":
                    problem = await answer.json()
                    assert problem["code"] == "query_invalid", (each, path)
                    assert UNKNOWN in problem["detail"], (each, path)

    served = {(method, path.rstrip("/") or "/") for method, path in routes()}
    assert {place for place in served if place[1].startswith("/v1/")} <= asked


async def test_pages_and_what_a_browser_opens_ignore_the_query(service: Service) -> None:
    async with service.request("PUT", "/p", json={}) as answer:
        assert answer.status == 201
    for path in ("/", "/p", *PAGES):
        async with service.request("GET", f"{path}?utm_source=x", allow_redirects=False) as answer:
            assert answer.status in {200, 308}, path


async def test_a_watch_refuses_what_only_a_read_has(service: Service) -> None:
    events = {"Accept": "text/event-stream"}
    for path in ("/v1/kv/k?wait=1", "/v1/counters/c?wait=1", "/v1/kv?limit=1"):
        async with service.request("GET", path, headers=events) as answer:
            assert answer.status == 400, path
