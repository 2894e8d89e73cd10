"""Every route with every header that can change a request's meaning: honoured, or refused.

Each cell of TABLE is one request, whose header would change what happens on a route that honours
it. A cell that has the status of the request without the header is one where the RFC tells the
recipient to ignore the header, or allows it to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest
from aiohttp import web

from svc.api.routes import traffic_routes
from tests.conftest import Backend
from tests.docs.pages import ROOT
from tests.svc.api.client import Answer, Api

VALUE: Final = b'{"n":1}'
FIRST_DAY: Final = "Thu, 01 Jan 1970 00:00:00 GMT"
LAST_DAY: Final = "Fri, 31 Dec 9999 23:59:59 GMT"


class Route(NamedTuple):
    method: str
    path: str
    body: bytes = b""
    headers: str = ""


ROUTES: Final = {
    "GET entry": Route("GET", "/v1/kv/a"),
    "HEAD entry": Route("HEAD", "/v1/kv/a"),
    "PUT entry": Route("PUT", "/v1/kv/a", b"2"),
    "PATCH entry": Route(
        "PATCH", "/v1/kv/a", b'{"n":2}', "Content-Type: application/merge-patch+json\r\n"
    ),
    "DELETE entry": Route("DELETE", "/v1/kv/a"),
    "POST entries": Route("POST", "/v1/kv/new/", b"2"),
    "GET entries": Route("GET", "/v1/kv"),
    "DELETE entries": Route("DELETE", "/v1/kv?prefix=a"),
    "GET counter": Route("GET", "/v1/counters/c"),
    "PUT counter": Route("PUT", "/v1/counters/c", b'{"value":2}'),
    "DELETE counter": Route("DELETE", "/v1/counters/c"),
    "POST increments": Route("POST", "/v1/counters/c/increments", b'{"by":2}'),
    "GET counters": Route("GET", "/v1/counters"),
    "DELETE counters": Route("DELETE", "/v1/counters?prefix=c"),
    "POST batch": Route("POST", "/v1/batch", b'{"operations":[{"op":"add","counter":"c"}]}'),
    "GET limits": Route("GET", "/v1/limits"),
    "GET openapi": Route("GET", "/v1/openapi.json"),
    "GET docs": Route("GET", "/docs"),
    "GET status": Route("GET", "/v1/status"),
    "GET page": Route("GET", "/ui"),
    "GET page file": Route("GET", "/ui/app.js"),
    "GET /": Route("GET", "/"),
    "GET plain": Route("GET", "/a"),
    "PUT plain": Route("PUT", "/a", b'{"n":2}'),
    "OPTIONS entry": Route("OPTIONS", "/v1/kv/a"),
    "OPTIONS /": Route("OPTIONS", "/"),
}

#: The header of each column, with a value that makes a difference wherever it is honoured.
HEADERS: Final = {
    "none": "",
    "If-Match": 'If-Match: "x"\r\n',
    "If-None-Match": "If-None-Match: *\r\n",
    "If-Modified-Since": f"If-Modified-Since: {LAST_DAY}\r\n",
    "If-Unmodified-Since": f"If-Unmodified-Since: {FIRST_DAY}\r\n",
    "If-Range": 'If-Range: "x"\r\nRange: bytes=0-0\r\n',
    "Range": "Range: bytes=0-0\r\n",
    "Idempotency-Key": 'Idempotency-Key: ""\r\n',
    "Content-Range": "Content-Range: bytes 0-0/2\r\n",
    "Content-Encoding": "Content-Encoding: identity\r\nContent-Encoding: br\r\n",
    "Transfer-Encoding": "Transfer-Encoding: gzip, chunked\r\n",
    "Prefer": 'Prefer: wait=1, , return="minimal"; x=y\r\n',
    "Expect": "Expect: miracles\r\n",
    "Accept": "Accept: image/png\r\n",
    "Upgrade": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
}

# Columns, in the order of HEADERS: none, If-Match, If-None-Match, If-Modified-Since,
# If-Unmodified-Since, If-Range, Range, Idempotency-Key, Content-Range, Content-Encoding,
# Transfer-Encoding, Prefer, Expect, Accept, Upgrade.
TABLE: Final = """
GET entry       | 200 412 304 304 412 200 206 200 200 200 200 200 417 200 200
HEAD entry      | 200 412 304 304 412 200 200 200 200 200 200 200 417 200 200
PUT entry       | 200 412 412 200 400 200 200 400 400 415 400 204 417 200 200
PATCH entry     | 200 412 412 200 400 200 200 400 400 415 400 204 417 200 200
DELETE entry    | 204 412 412 204 400 204 204 400 204 204 204 204 417 204 204
POST entries    | 201 400 400 201 400 201 201 400 400 415 400 201 417 201 201
GET entries     | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
DELETE entries  | 200 400 400 200 400 200 200 400 200 200 200 200 417 200 200
GET counter     | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
PUT counter     | 200 412 412 200 400 200 200 400 400 415 400 200 417 200 200
DELETE counter  | 204 412 412 204 400 204 204 400 204 204 204 204 417 204 204
POST increments | 200 412 412 200 400 200 200 400 400 415 400 200 417 200 200
GET counters    | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
DELETE counters | 200 400 400 200 400 200 200 400 200 200 200 200 417 200 200
POST batch      | 200 400 400 200 400 200 200 400 400 415 400 200 417 200 200
GET limits      | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
GET openapi     | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
GET docs        | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
GET status      | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
GET page        | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
GET page file   | 200 412 304 200 200 200 200 200 200 200 200 200 417 200 200
GET /           | 200 412 304 200 200 200 200 400 200 200 200 200 417 200 200
GET plain       | 200 412 304 304 412 200 200 200 200 200 200 200 417 200 200
PUT plain       | 201 412 412 201 400 201 201 400 400 415 400 201 417 201 201
OPTIONS entry   | 204 204 204 204 204 204 204 204 204 204 204 204 417 204 204
OPTIONS /       | 204 204 204 204 204 204 204 204 204 204 204 204 417 204 204
"""


class Cell(NamedTuple):
    route: str
    header: str
    status: int


CELLS: Final = [
    Cell(route.strip(), header, int(status))
    for route, _, statuses in (row.partition("|") for row in TABLE.strip().splitlines())
    for header, status in zip(HEADERS, statuses.split(), strict=True)
]
#: What a route does that its status does not show.
SHOWN_ELSEWHERE: Final = {
    ("GET entry", "If-Range"): "whole",
    ("PUT entry", "Prefer"): "no body",
    ("PATCH entry", "Prefer"): "no body",
    ("POST entries", "Prefer"): "no body",
    ("GET /", "Accept"): "JSON",
}
#: Routes that have no use for an idempotency key, and refuse it.
REPEATABLE: Final = ("DELETE entries", "DELETE counters")
#: Routes that apply a change at most once under one idempotency key.
ONCE: Final = tuple(
    cell.route
    for cell in CELLS
    if cell.header == "Idempotency-Key" and cell.status == 400 and cell.route not in REPEATABLE
)


@pytest.fixture
def backend(start_backend: Callable[[str], Backend]) -> Backend:
    return start_backend("redis-7")


@pytest.fixture
async def stored(api: Api) -> Api:
    """A service with the entry ``a`` and the counter ``c``."""
    await api.put("/v1/kv/a", VALUE)
    await api.put("/v1/counters/c", json={"value": 5})
    return api


def state(backend: Backend) -> dict[bytes, Any]:
    """Return all that Redis holds."""
    return {name: each.get(name) for each in backend.clients for name in each.scan_iter("*")}


async def send(api: Api, route: Route, headers: str) -> Answer:
    if "Transfer-Encoding" in headers:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(route.body), route.body)
        if not route.body:
            body = b"0\r\n\r\n"
    else:
        body = route.body
        headers += f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{route.method} {route.path} HTTP/1.1\r\nHost: kv\r\n{route.headers}{headers}\r\n"
    return await api.raw(head.encode() + body, head_only=route.method == "HEAD")


def documented(cell: Cell) -> str:
    """Return the cell of the table in docs/reference/http.md."""
    if cell.header == "Idempotency-Key" and cell.route in ONCE:
        return "once"
    if (words := SHOWN_ELSEWHERE.get((cell.route, cell.header))) is not None:
        return words
    plain = next(each for each in CELLS if each.route == cell.route)
    return "-" if cell.status == plain.status else str(cell.status)


def test_the_table_has_every_route_of_the_service() -> None:
    assert list(dict.fromkeys(cell.route for cell in CELLS)) == list(ROUTES)
    definitions = list(traffic_routes(frozenset({"kv", "counters"})))
    methods = Counter(each.method for each in definitions if isinstance(each, web.RouteDef))
    # Both forms of a listing's path are one row, and so are the page of the API and its files.
    listings = {"GET": 4}
    for method, count in methods.items():
        rows = [name for name, route in ROUTES.items() if route.method == method]
        assert len(rows) == count - listings.get(method, 0), method


def test_the_reference_has_the_table() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "reference" / "http.md").read_text().splitlines()
        if line.startswith("|")
    ]
    headers = [f"`{header}`" for header in HEADERS if header != "none"]

    assert ["Route", *headers] in rows
    for route in ROUTES:
        cells = [each for each in CELLS if each.route == route and each.header != "none"]
        assert [route, *map(documented, cells)] in rows, route


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.route}, {cell.header}")
async def test_a_header_is_honoured_or_refused(stored: Api, backend: Backend, cell: Cell) -> None:
    before = state(backend)

    answer = await send(stored, ROUTES[cell.route], HEADERS[cell.header])

    assert answer.status == cell.status, answer
    if answer.status >= 300 or cell.route.startswith("OPTIONS"):
        assert state(backend) == before
    if answer.status == 204 and cell.route.startswith("OPTIONS"):
        assert "OPTIONS" in answer.headers["Allow"]
    if SHOWN_ELSEWHERE.get((cell.route, cell.header)) == "no body":
        assert (answer.body, answer.headers["Preference-Applied"]) == (b"", "return=minimal")


@pytest.mark.parametrize("route", ONCE)
async def test_a_change_under_an_idempotency_key_is_applied_once(
    stored: Api, backend: Backend, route: str
) -> None:
    answers = [await send(stored, ROUTES[route], "Idempotency-Key: k\r\n")]
    before = state(backend)

    answers.append(await send(stored, ROUTES[route], "Idempotency-Key: k\r\n"))

    assert answers[0].status == answers[1].status < 300, answers
    assert [answer.replayed for answer in answers] == [False, True]
    assert answers[0].body == answers[1].body or route == "POST batch"
    assert state(backend) == before
