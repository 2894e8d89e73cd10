"""``rediss://`` and ``unix://``: the service over TLS, and over a unix socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from svc.settings import Settings
from tests.support.answers import ask_admin, assert_refused, get, increment, put
from tests.support.redis_servers import running_redis
from tests.support.services import running_service
from tests.svc.stores.conftest import TlsRedis


async def test_it_works_over_tls_with_a_clients_certificate(tls_redis: TlsRedis) -> None:
    both = str(tls_redis.certificate)
    url = tls_redis.url(ssl_ca_certs=str(tls_redis.authority), ssl_certfile=both, ssl_keyfile=both)

    async with running_service(Settings(store_url=url)) as service:
        assert (await put(service, "k", b"x" * 100_000)).status == 201
        assert (await get(service, "k")).body == b"x" * 100_000
        assert (await increment(service, "n")).json["value"] == 1
        assert (await ask_admin(service, "/statusz")).json["store"]["mode"] == "standalone"


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_server_not_trusted_or_a_missing_certificate_refuses_everything(
    tls_redis: TlsRedis, trusted: bool
) -> None:
    options = {"ssl_ca_certs": str(tls_redis.authority)} if trusted else {}

    async with running_service(Settings(store_url=tls_redis.url(**options))) as service:
        answer = await put(service, "k", b"v")

        # In TLS 1.3 a server refuses the client's certificate only after the first request.
        if not trusted:
            assert_refused(answer)
        assert answer.status in {503, 504}
        assert_refused(await get(service, "k"))


async def test_plain_text_to_a_tls_port_refuses_reads(tls_redis: TlsRedis) -> None:
    url = f"redis://localhost:{tls_redis.port}"

    async with running_service(Settings(store_url=url)) as service:
        assert_refused(await get(service, "k"))


async def test_it_works_over_a_socket_file(redis_binary: str, tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    with running_redis(redis_binary, tmp_path / "redis", "--unixsocket", str(socket)):
        async with running_service(Settings(store_url=f"unix://{socket}")) as service:
            assert (await put(service, "k", b"v")).status == 201
            assert (await get(service, "k")).body == b"v"
            assert (await increment(service, "n")).json["value"] == 1


async def test_a_socket_file_that_is_not_there_refuses_everything(tmp_path: Path) -> None:
    async with running_service(Settings(store_url=f"unix://{tmp_path}/none.sock")) as service:
        for answer in (await get(service, "k"), await put(service, "k", b"v")):
            assert_refused(answer)


async def test_a_database_number_keeps_services_apart(redis_binary: str, tmp_path: Path) -> None:
    with running_redis(redis_binary, tmp_path / "redis") as server:
        async with (
            running_service(Settings(store_url=f"{server.url}/1")) as one,
            running_service(Settings(store_url=f"{server.url}/2")) as two,
        ):
            assert (await put(one, "k", b"v")).status == 201
            assert (await get(two, "k")).status == 404
