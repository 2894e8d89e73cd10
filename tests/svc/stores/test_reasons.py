"""Why the store fails: one word in the log, at /statusz and in a metric, from real servers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from svc.settings import Settings
from svc.stores import failures
from svc.stores.reasons import Reason
from tests.conftest import need_redis_7
from tests.support.answers import assert_refused, get, put
from tests.support.instrumented_service import instrumented_service, logged_lines, scrape
from tests.support.ports import free_port
from tests.support.redis_servers import RedisServer, running_cluster, running_redis
from tests.support.waiting import eventually
from tests.svc.stores.conftest import TlsRedis
from tests.svc.stores.reason_checks import assert_reason, reasons_of

SHORT: dict[str, Any] = {"store_timeout_ms": 1000}


async def test_a_refused_port() -> None:
    await assert_reason(f"redis://127.0.0.1:{free_port()}", Reason.REFUSED)


async def test_a_refused_port_of_a_host_with_several_addresses() -> None:
    await assert_reason(f"redis://localhost:{free_port()}", Reason.REFUSED)


async def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    await assert_reason(f"unix://{tmp_path}/none.sock", Reason.REFUSED)


async def test_a_name_that_does_not_resolve() -> None:
    await assert_reason("redis://no-such-host.invalid", Reason.DNS)


@pytest.mark.parametrize("userinfo", ["", ":wrong@", "nobody:wrong@"])
async def test_a_wrong_or_missing_password(
    redis_binary: str, tmp_path: Path, userinfo: str
) -> None:
    with running_redis(redis_binary, tmp_path / "redis") as server:
        with contextlib.closing(server.client()) as client:
            client.config_set("requirepass", "right")
        await assert_reason(server.url.replace("//", f"//{userinfo}"), Reason.AUTH)


async def test_a_password_that_redis_does_not_ask_for(redis_server: RedisServer) -> None:
    url = redis_server.url.replace("//", "//nobody:needless@")

    await assert_reason(url, Reason.AUTH)


async def test_a_command_that_the_acl_forbids(redis_server: RedisServer) -> None:
    with contextlib.closing(redis_server.client()) as client:
        client.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "+info", "+time")  # type: ignore[no-untyped-call]

    with logged_lines() as lines:
        url = redis_server.url.replace("//", "//u:p@")
        async with instrumented_service(Settings(store_url=url)) as service:
            assert_refused(await get(service, "k"))
            assert await reasons_of(service) == [Reason.FORBIDDEN]
    assert [line["reason"] for line in lines.with_body("store fails")] == ["forbidden"]


async def test_a_database_that_is_not_there(redis_server: RedisServer) -> None:
    await assert_reason(f"{redis_server.url}/1234", Reason.NO_DATABASE)


async def test_tls_to_a_plain_server(redis_server: RedisServer) -> None:
    await assert_reason(redis_server.url.replace("redis:", "rediss:"), Reason.TLS, **SHORT)


async def test_plain_text_to_a_tls_server(open_tls_redis: TlsRedis) -> None:
    # A password is sent at once; without one, the first command ends the connection.
    await assert_reason(f"redis://:p@localhost:{open_tls_redis.port}", Reason.TLS)


async def test_a_certificate_that_is_not_trusted(open_tls_redis: TlsRedis) -> None:
    await assert_reason(open_tls_redis.url(), Reason.CERTIFICATE_UNTRUSTED)


@contextlib.asynccontextmanager
async def handshakes(tmp_path: Path, host: str, days: int) -> AsyncIterator[str]:
    """Serve TLS for one host, with a certificate of so many days since a month ago."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    began = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(
        host, not_before=began, not_after=began + dt.timedelta(days=days)
    ).configure_cert(context)
    # Before the first command, the certificate decides.
    server = await asyncio.start_server(lambda _, w: w.close(), "localhost", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"rediss://localhost:{port}?ssl_ca_certs={tmp_path / 'ca.pem'}"


async def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    async with handshakes(tmp_path, "localhost", 20) as url:
        await assert_reason(url, Reason.CERTIFICATE_EXPIRED)


async def test_a_certificate_of_another_host(tmp_path: Path) -> None:
    async with handshakes(tmp_path, "redis.example.com", 40) as url:
        await assert_reason(url, Reason.CERTIFICATE_NAME)


async def test_a_clients_certificate_that_is_missing(tls_redis: TlsRedis) -> None:
    # In TLS 1.3 a server refuses the client's certificate only after the first bytes.
    url = tls_redis.url(ssl_ca_certs=str(tls_redis.authority))

    await assert_reason(url, Reason.TLS)


async def test_a_cluster_url_of_a_server_without_a_cluster(redis_server: RedisServer) -> None:
    await assert_reason(redis_server.url.replace("redis:", "redis+cluster:"), Reason.NO_CLUSTER)


async def test_a_plain_url_of_a_cluster(tmp_path: Path) -> None:
    with running_cluster(need_redis_7(), tmp_path) as cluster:
        server = cluster.servers[0]
        async with instrumented_service(Settings(store_url=server.url)) as service:
            answers = [await get(service, f"k{number}") for number in range(20)]

            assert Reason.IS_CLUSTER in await reasons_of(service)
        assert {answer.status for answer in answers} == {404, 503}
        async with instrumented_service(Settings(store_url=cluster.url)) as service:
            answers = [await get(service, f"k{number}") for number in range(20)]

            assert await reasons_of(service) == []
        assert {answer.status for answer in answers} == {404}


async def test_sentinels_that_do_not_answer() -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()}/mymaster"

    await assert_reason(url, Reason.NO_PRIMARY)


async def test_a_server_that_is_frozen(redis_server: RedisServer) -> None:
    redis_server.signal(signal.SIGSTOP)

    await assert_reason(redis_server.url, Reason.TIMEOUT, **SHORT)


@pytest.fixture
async def a_web_server() -> AsyncIterator[int]:
    """A server of another protocol. Yield its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_of_another_protocol(a_web_server: int) -> None:
    await assert_reason(f"redis://127.0.0.1:{a_web_server}", Reason.PROTOCOL)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("min-replicas-to-write", "1", Reason.NO_REPLICAS),
        ("maxmemory", "1", Reason.OUT_OF_MEMORY),
    ],
)
async def test_a_server_that_takes_no_writes(
    redis_server: RedisServer, name: str, value: str, reason: Reason
) -> None:
    async with instrumented_service(Settings(store_url=redis_server.url)) as service:
        with contextlib.closing(redis_server.client()) as client:
            client.config_set(name, value)
        assert (await put(service, "k", b"v")).status in {503, 507}

        assert await reasons_of(service) == [reason]
        assert (await scrape(service)).value("kv_store_failures_total", reason=reason.value) >= 1


async def test_without_failures_every_reason_is_counted_as_zero(
    redis_server: RedisServer,
) -> None:
    async with instrumented_service(Settings(store_url=redis_server.url)) as service:
        await put(service, "k", b"v")
        counted = await scrape(service)

        assert await reasons_of(service) == []
    for reason in Reason:
        assert counted.value("kv_store_failures_total", reason=reason.value) == 0


def test_a_reason_is_logged_at_most_once_in_ten_seconds_with_the_number_of_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watched = failures.Failures()
    with logged_lines() as lines:
        for _ in range(100):
            watched.observe(Reason.DNS)
        watched.observe(Reason.AUTH)
        now += failures.LOG_SECONDS
        watched.observe(Reason.DNS)

    told = [(line["reason"], line["failures"]) for line in lines.with_body("store fails")]
    assert told == [("dns", 1), ("auth", 1), ("dns", 100)]


def test_a_reason_is_shown_for_a_minute_with_its_first_and_last_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watched = failures.Failures()
    watched.observe(Reason.DNS)
    now += 30
    watched.observe(Reason.DNS)
    now += 5

    (told,) = watched.recent()

    assert (told.reason, told.since_seconds, told.last_seconds) == ("dns", 35, 5)
    now += failures.SHOWN_SECONDS
    assert watched.recent() == []
    watched.observe(Reason.DNS)
    assert watched.recent()[0].since_seconds == 0


async def test_a_server_that_loads_its_data(redis_binary: str, tmp_path: Path) -> None:
    options = ("--appendonly", "yes")
    with running_redis(redis_binary, tmp_path / "redis", *options) as server:
        with contextlib.closing(server.client()) as client:
            client.mset({f"k{number}": "v" for number in range(2000)})
            client.bgrewriteaof()
            await eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
        server.stop()
        # It loads for 20 s, and answers twice a second.
        slow = ("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
        server.options = (*options, *slow)
        server.start(wait=False)

        await assert_reason(server.url, Reason.LOADING)
