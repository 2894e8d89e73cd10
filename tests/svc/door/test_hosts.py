"""Which names in Host a port on a loopback address takes: none of a page that DNS led here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from svc.serving.hosts import accepted_hosts
from svc.settings import Settings
from tests.support.raw_http import exchange
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service

OWN = [
    "localhost",
    "localhost:8080",
    "LocalHost",
    "127.0.0.1:1",
    "[::1]:80",
    "kv.test",
    "KV.test:9",
]
FOREIGN = [
    "evil.example",
    "localhost.evil.example:8080",
    "127.0.0.1.evil.example",
    "localhost.",
    "0",
    "",
]


@pytest.fixture
async def service(redis_server: RedisServer) -> AsyncIterator[Service]:
    settings = Settings(store_url=redis_server.url, hosts=frozenset({"kv.test"}))
    async with running_service(settings) as running:
        yield running


def ports(service: Service) -> list[tuple[int, str]]:
    admin = int(service.admin_base.rpartition(":")[2])
    return [(service.port, "/v1/limits"), (admin, "/version")]


@pytest.mark.parametrize("host", OWN)
async def test_both_ports_take_their_own_names(service: Service, host: str) -> None:
    for port, path in ports(service):
        answer = await exchange(port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")

        assert answer.status == 200, (host, path)


@pytest.mark.parametrize("host", FOREIGN)
async def test_both_ports_refuse_foreign_names(service: Service, host: str) -> None:
    for port, path in ports(service):
        answer = await exchange(port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")

        assert (answer.status, answer.json["code"]) == (421, "foreign_host"), (host, path)
        assert answer.json["applied"] == "no"


async def test_a_foreign_name_behind_a_good_one_is_refused_on_the_same_connection(
    service: Service,
) -> None:
    put = "PUT /v1/kv/k HTTP/1.1\r\nHost: {}\r\nContent-Length: 1\r\n\r\nx"

    answers = [
        await exchange(service.port, put.format("localhost"), put.format("evil.example")),
        await exchange(service.port, put.format("evil.example")),
    ]

    assert [answer.status for answer in answers][1] == 421


async def test_the_name_in_a_target_stands_for_host(service: Service) -> None:
    request = "GET http://evil.example/v1/limits HTTP/1.1\r\nHost: localhost\r\n\r\n"

    assert (await exchange(service.port, request)).status == 421


async def test_a_refusal_is_counted(service: Service) -> None:
    await exchange(service.port, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")

    async with service.client.get(service.admin_base + "/metrics") as answer:
        assert 'kv_requests_rejected_total{reason="foreign_host"} 1.0' in await answer.text()


def test_an_address_that_others_reach_takes_any_name() -> None:
    # A Service, a gateway, a kubelet that asks by the pod's address.
    assert accepted_hosts("::", frozenset()) is None
    assert accepted_hosts("10.0.0.7", frozenset({"kv.test"})) is None
    assert accepted_hosts("127.0.0.1", frozenset({"*"})) is None


def test_a_loopback_address_is_a_name_of_its_own() -> None:
    own = accepted_hosts("127.0.0.9", frozenset()) or frozenset()

    assert own == {"localhost", "127.0.0.1", "[::1]", "127.0.0.9"}
    assert "[::1]" in (accepted_hosts("::1", frozenset()) or ())
