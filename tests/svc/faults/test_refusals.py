"""Redis refuses commands for a while: 503, nothing applied, and then service resumes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from svc.settings import Settings
from tests.support.answers import (
    PROMPT_SECONDS,
    ask,
    ask_admin,
    assert_refused,
    batch,
    counter_value,
    get,
    increment,
    put,
    together,
)
from tests.support.every_verb import CHANGES, READS
from tests.support.redis_servers import RedisServer, running_redis
from tests.support.services import Service, running_service
from tests.support.waiting import eventually, until
from tests.svc.faults.conftest import PATIENT_MS


@pytest.fixture
def admin(either_redis: RedisServer) -> Iterator[redis.Redis]:
    with contextlib.closing(either_redis.client()) as client:
        yield client


async def assert_all_refused(service: Service, *, reads_too: bool) -> None:
    for verb in (*READS, *CHANGES) if reads_too else CHANGES:
        answer = await ask(service, verb.method, verb.path, **verb.options)

        assert_refused(answer)
        assert answer.seconds < PROMPT_SECONDS, verb


async def test_a_replica_refuses_to_write_at_once_and_soon_to_read(
    served_on_either: Service, either_redis: RedisServer, admin: redis.Redis, tmp_path: Path
) -> None:
    service = served_on_either
    with running_redis(either_redis.binary, tmp_path / "primary") as primary:
        with contextlib.closing(primary.client()) as client:
            client.config_set("repl-diskless-sync-delay", 0)
            client.set("ready", 1)
        await put(service, "seed", b"1")
        admin.replicaof("127.0.0.1", str(primary.port))
        await asyncio.to_thread(until, lambda: admin.get("ready"), what="the replica")
        async with running_service(Settings(store_url=primary.url)) as writer:
            await put(writer, "verb", b'{"n":1}')
            await increment(writer, "verb")
        await asyncio.to_thread(until, lambda: admin.dbsize() == 3, what="the replica")

        await assert_all_refused(service, reads_too=False)
        results = await batch(
            service,
            {"op": "put", "key": "b", "value": 1},
            {"op": "add", "counter": "verb"},
        )
        assert [r["status"] for r in results] == [503, 503]
        # What a replica has may be old.
        assert_refused(await get(service, "verb"))
        await assert_all_refused(service, reads_too=True)

        admin.replicaof("NO", "ONE")
        assert (await increment(service, "verb")).json["value"] == 2


async def test_a_primary_without_enough_replicas_refuses_to_write(
    served_on_either: Service, admin: redis.Redis
) -> None:
    await put(served_on_either, "verb", b'{"n":1}')
    await increment(served_on_either, "verb")
    admin.config_set("min-replicas-to-write", 1)

    await assert_all_refused(served_on_either, reads_too=False)

    assert await counter_value(served_on_either, "verb") == 1
    admin.config_set("min-replicas-to-write", 0)
    assert (await increment(served_on_either, "verb")).json["value"] == 2


async def test_a_password_asked_for_from_now_on_refuses_everything(
    served_on_either: Service, admin: redis.Redis
) -> None:
    await put(served_on_either, "before", b"1")
    admin.config_set("requirepass", "secret")
    admin.client_kill_filter(_type="normal", skipme=True)

    await assert_all_refused(served_on_either, reads_too=True)

    admin.config_set("requirepass", "")
    assert (await get(served_on_either, "before")).body == b"1"


@pytest.mark.parametrize("userinfo", ["", ":wrong@", "nobody:secret@"])
async def test_a_missing_or_wrong_password_refuses_everything(
    either_redis: RedisServer, admin: redis.Redis, userinfo: str
) -> None:
    admin.config_set("requirepass", "secret")
    url = either_redis.url.replace("//", f"//{userinfo}")

    async with running_service(Settings(store_url=url)) as service:
        await assert_all_refused(service, reads_too=True)
        assert (await ask_admin(service, "/statusz")).json["status"] == "degraded"


async def test_a_flood_without_the_password_is_refused_though_redis_hangs_up_on_long_commands(
    either_redis: RedisServer, admin: redis.Redis
) -> None:
    """Redis closes a connection that sends more than a few words before the password."""
    admin.config_set("requirepass", "secret")

    # Enough time for 300 requests on a busy machine. Other tests check timeouts.
    settings = Settings(store_url=either_redis.url, store_timeout_ms=30_000)
    async with running_service(settings) as service:
        answers = await together(*(increment(service, f"c{i}", "once") for i in range(300)))

    for answer in answers:
        assert_refused(answer)


async def test_the_right_password_works(either_redis: RedisServer, admin: redis.Redis) -> None:
    admin.config_set("requirepass", "secret")
    url = either_redis.url.replace("//", "//:secret@")

    async with running_service(Settings(store_url=url)) as service:
        assert (await put(service, "k", b"v")).status == 201


async def test_a_server_with_no_room_for_a_connection_refuses_everything(
    either_redis: RedisServer, admin: redis.Redis
) -> None:
    admin.config_set("maxclients", 1)

    async with running_service(Settings(store_url=either_redis.url)) as service:
        await assert_all_refused(service, reads_too=True)
        # The refusal, the closing by the server and the next command race each other.
        for answer in await together(*(increment(service, f"c{i}", "once") for i in range(300))):
            assert_refused(answer)

        admin.config_set("maxclients", 100)
        assert (await put(service, "k", b"v")).status == 201


@pytest.fixture
async def endless_script(either_redis: RedisServer, admin: redis.Redis) -> AsyncIterator[None]:
    admin.config_set("lua-time-limit", 20)
    with contextlib.closing(either_redis.client()) as client:

        def run() -> None:
            with contextlib.suppress(redis.ResponseError):
                client.eval("while true do end", 0)

        running = asyncio.create_task(asyncio.to_thread(run))
        try:
            await eventually(lambda: _is_busy(admin), what="the endless script")
            yield
        finally:
            with contextlib.suppress(redis.ResponseError):
                admin.script_kill()
            await running


def _is_busy(admin: redis.Redis) -> bool:
    try:
        admin.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


async def test_a_server_busy_with_an_endless_script_refuses_everything_until_it_is_killed(
    served_on_either: Service, admin: redis.Redis, endless_script: None
) -> None:
    await assert_all_refused(served_on_either, reads_too=True)

    admin.script_kill()
    assert await eventually(lambda: _written(served_on_either, "k"), what="healing")


async def _written(service: Service, key: str) -> bool:
    answer = await put(service, key, b"v")
    if answer.status != 201:
        assert_refused(answer)
    return answer.status == 201


async def test_a_server_that_is_loading_refuses_everything_until_it_has_loaded(
    either_redis: RedisServer, admin: redis.Redis
) -> None:
    # While it loads, Redis answers every 0.6 s or so.
    settings = Settings(store_url=either_redis.url, store_timeout_ms=PATIENT_MS)
    async with running_service(settings) as service:
        await put(service, "kept", b"v")
        admin.config_set("rdbcompression", "no")
        with admin.pipeline(transaction=False) as pipe:
            for i in range(1000):
                pipe.set(f"filler:{i}", "x" * 40960)
            pipe.execute()
        admin.save()
        either_redis.stop()
        # 12 ms for each key: on a busy machine the requests below take seconds.
        # While loading, Redis handles clients at least every 2 MB.
        either_redis.options = ("--key-load-delay", "12000")
        either_redis.start(wait=False)
        await eventually(lambda: _is_loading(either_redis), what="the loading")

        answers = await together(
            *(ask(service, v.method, v.path, **v.options) for v in (*READS, *CHANGES))
        )

        for answer in answers:
            assert_refused(answer)
        assert "loading" in {failure.reason for failure in service.store.failures()}
        assert await eventually(lambda: _read(service, "kept"), what="healing") == b"v"


async def _read(service: Service, key: str) -> bytes | None:
    answer = await get(service, key)
    if answer.status == 200:
        return answer.body
    assert_refused(answer)
    return None


def _is_loading(server: RedisServer) -> bool:
    try:
        with contextlib.closing(server.client()) as client:
            client.ping()
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return False
