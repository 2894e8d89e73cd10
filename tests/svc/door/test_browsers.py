"""Requests of browsers: none of a foreign page changes anything, and listed pages get CORS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from svc.settings import Settings
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service

APP = "https://app.example.com"
#: What browsers add to the requests of a foreign page, of our own, and of no page.
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Origin": "https://{host}.evil.example"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
]
OWN: list[dict[str, str]] = [
    {},
    {"Origin": "http://{host}"},
    {"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
]
UNSAFE = [
    ("PUT", "/v1/kv/k", b"x"),
    ("PATCH", "/v1/kv/k", b"{}"),
    ("POST", "/v1/kv/c/", b"x"),
    ("DELETE", "/v1/kv/k", b""),
    ("POST", "/v1/batch", b'{"operations":[{"op":"delete","key":"k"}]}'),
    ("POST", "/v1/counters/c/increments", b""),
    ("PUT", "/v1/counters/c", b'{"value":1}'),
    ("DELETE", "/v1/counters/c", b""),
    ("PUT", "/plain", b"{}"),
]


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    async with running_service(Settings(store_url=redis_server.url)) as running:
        yield running


@pytest.fixture
async def listed(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(store_url=redis_server.url, cors_origins=frozenset({APP}))
    async with running_service(settings) as running:
        yield running


def sent(headers: dict[str, str], service: Service) -> dict[str, str]:
    host = service.base.removeprefix("http://")
    return {name: text.format(host=host) for name, text in headers.items()}


async def test_no_foreign_page_changes_anything(service: Service, listed: Service) -> None:
    for each in (service, listed):
        await changes_nothing(each)


async def changes_nothing(service: Service) -> None:
    await (await service.put("/v1/kv/k", data=b"{}")).read()
    for headers in FOREIGN:
        for method, path, body in UNSAFE:
            # A form's type, which a browser sends without asking.
            plain = {"Content-Type": "text/plain", **sent(headers, service)}
            async with service.request(method, path, data=body, headers=plain) as answer:
                problem = await answer.json(content_type=None)
            assert (answer.status, problem["code"]) == (403, "cross_site"), (headers, path)
            assert problem["applied"] == "no"
            assert "Access-Control-Allow-Origin" not in answer.headers

    async with service.get("/v1/kv/k") as answer:
        assert await answer.read() == b"{}"
    async with service.get("/v1/counters/c") as answer:
        assert answer.status == 404


async def test_own_pages_and_other_clients_change_what_they_like(service: Service) -> None:
    for headers in OWN:
        async with service.put("/v1/kv/k", data=b"x", headers=sent(headers, service)) as answer:
            assert answer.status in {200, 201}, headers


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://kv.example.com", "kv.example.com"),
        ("https://kv.example.com", "kv.example.com:443"),
        ("http://KV.example.com:80", "kv.example.com"),
    ],
)
async def test_behind_a_proxy_the_page_is_known_by_its_host(
    service: Service, origin: str, host: str
) -> None:
    headers = {"Origin": origin, "Host": host}

    async with service.put("/v1/kv/k", data=b"x", headers=headers) as answer:
        assert answer.status in {200, 201}


async def test_a_foreign_page_may_send_what_changes_nothing_and_read_nothing(
    service: Service,
) -> None:
    async with service.get("/v1/limits", headers={"Origin": APP}) as answer:
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_a_refusal_is_counted_and_names_the_pod(service: Service) -> None:
    async with service.put("/v1/kv/k", data=b"x", headers={"Origin": APP}) as answer:
        assert answer.headers["KV-Pod"]
    async with service.client.get(service.admin_base + "/metrics") as answer:
        assert 'kv_requests_rejected_total{reason="cross_site"} 1.0' in await answer.text()


async def test_a_listed_page_is_told_what_it_may_send(listed: Service) -> None:
    asked = {"Origin": APP, "Access-Control-Request-Method": "PUT", "Sec-Fetch-Site": "cross-site"}

    async with listed.request("OPTIONS", "/v1/kv/k", headers=asked) as answer:
        headers = answer.headers

    assert answer.status == 204
    assert headers["Access-Control-Allow-Origin"] == APP
    assert "PUT" in headers["Access-Control-Allow-Methods"]
    assert "authorization" in headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in headers
    assert headers["Vary"] == "Origin"


async def test_a_listed_page_writes_and_reads_the_headers(listed: Service) -> None:
    page = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}

    async with listed.put("/v1/kv/k", data=b"x", headers=page) as written:
        assert written.status in {200, 201}
    async with listed.get("/v1/kv/k", headers=page) as read:
        assert await read.read() == b"x"

    for answer in (written, read):
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        exposed = answer.headers["Access-Control-Expose-Headers"]
        for name in ("ETag", "KV-Version", "KV-TTL", "RateLimit", "RateLimit-Policy", "Location"):
            assert name in exposed.split(", ")


async def test_an_error_reaches_a_listed_page(listed: Service) -> None:
    async with listed.get("/v1/kv/none", headers={"Origin": APP}) as answer:
        assert answer.status == 404
        assert answer.headers["Access-Control-Allow-Origin"] == APP


async def test_a_refusal_for_want_of_a_place_reaches_a_listed_page(
    redis_server: RedisServer,
) -> None:
    settings = Settings(
        store_url=redis_server.url,
        cors_origins=frozenset({APP}),
        max_in_flight=1,
        queue_ms=0,
        fault_latency_ms=1000,
    )

    async with running_service(settings) as service:

        async def read() -> tuple[int, str | None]:
            async with service.get("/v1/kv/none", headers={"Origin": APP}) as answer:
                return answer.status, answer.headers.get("Access-Control-Allow-Origin")

        answers = await asyncio.gather(*(read() for _ in range(4)))

    assert (503, APP) in answers
    assert {origin for _, origin in answers} == {APP}


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}])
async def test_a_cache_gives_nobody_the_answer_to_another_page(
    listed: Service, headers: dict[str, str]
) -> None:
    asked = {**headers, "Access-Control-Request-Method": "PUT"}
    for method, path in (("GET", "/v1/limits"), ("GET", "/"), ("OPTIONS", "/v1/kv/k")):
        async with listed.request(method, path, headers=asked) as answer:
            assert "Origin" in answer.headers["Vary"]
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_every_page_is_let_in_without_credentials(redis_server: RedisServer) -> None:
    settings = Settings(store_url=redis_server.url, cors_origins=frozenset({"*"}))
    async with (
        running_service(settings) as service,
        service.put("/v1/kv/k", data=b"x", headers={"Origin": "null"}) as answer,
    ):
        assert answer.status in {200, 201}
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
