"""Which redis-server the embedded store takes, and what becomes of data that another one wrote."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from svc.stores.embedded.binary import Program
from svc.stores.embedded.data_format import DataFormat
from tests.conftest import need_redis_7, need_valkey
from tests.support.plain_http import fetch
from tests.support.services import ServiceProcess
from tests.svc.stores.conftest import MakeService, kill
from tests.svc.stores.test_embedded_refusals import refusal_of

RedisPath = Callable[[str], str]


def end(service: ServiceProcess) -> None:
    service.signal(signal.SIGTERM)
    assert service.wait() == 0


def increment(service: ServiceProcess) -> tuple[object, bool]:
    url = f"{service.base}/v1/counters/n/increments"
    answer = fetch(url, "POST", Idempotency_Key="once")
    return answer.json["value"], "Idempotency-Replayed" in answer.headers


@pytest.mark.parametrize(
    ("old", "new"), [("6.2", "7"), ("6.2", "valkey"), ("7", "valkey"), ("7", "6.2")]
)
def test_data_are_taken_over_without_loss(
    make_service: MakeService, redis_path: RedisPath, old: str, new: str
) -> None:
    first, second = (make_service(PATH=redis_path(release)) for release in (old, new))
    first.start()
    for key in ("kept", "killed"):
        url = f"{first.base}/v1/kv/{key}?ttl=1000"
        etag = fetch(url, "PUT", b"v", Content_Type="text/plain").headers["ETag"]
    assert increment(first) == (1, False)
    kill(first)

    # Redis 6 on the PATH can't read what Redis 7 wrote: the wheel's Valkey serves instead.
    second.start()

    assert fetch(f"{second.base}/v1/kv/kept").body == b"v"
    killed = fetch(f"{second.base}/v1/kv/killed")
    assert killed.headers["ETag"] == etag
    assert 900 < int(killed.headers["KV-TTL"]) <= 1000
    assert increment(second) == (1, True)


def test_without_a_program_on_the_path_the_wheels_one_serves_and_nothing_older_reads_its_data(
    make_service: MakeService, redis_path: RedisPath, tmp_path: Path
) -> None:
    need_valkey()
    need_redis_7()
    bare, with_redis = (make_service(PATH=redis_path(release)) for release in ("none", "7"))
    bare.start()
    assert fetch(f"{bare.base}/").body == b"Count is 1."
    end(bare)
    (base,) = (tmp_path / "data" / "appendonlydir").glob("*.base.rdb")
    assert base.read_bytes().startswith(b"VALKEY")

    with_redis.start()

    assert fetch(f"{with_redis.base}/").body == b"Count is 2."


def test_data_that_no_program_here_can_read_are_refused_and_stay_as_they_are(
    make_service: MakeService, redis_path: RedisPath, tmp_path: Path
) -> None:
    parts = tmp_path / "data" / "appendonlydir"
    parts.mkdir(parents=True)
    (parts / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS0099 of a day to come")

    line = refusal_of(make_service(PATH=redis_path("7")))

    assert "RDB version 99" in line
    assert "KV_DATA_DIR" in line
    assert [path.name for path in parts.iterdir()] == ["appendonly.aof.1.base.rdb"]


@pytest.mark.parametrize(
    ("program", "data", "expected"),
    [
        # is it Valkey, its version; multi-part, of Valkey, RDB version
        ((False, (6, 2, 9)), (False, False, 9), True),
        ((False, (6, 2, 9)), (True, False, None), False),
        ((False, (7, 0, 15)), (True, False, 10), True),
        ((False, (7, 0, 15)), (True, False, 11), False),
        ((False, (7, 2, 4)), (True, False, 11), True),
        ((False, (8, 2, 0)), (True, False, 13), True),
        ((False, (8, 2, 0)), (True, True, 80), False),
        ((True, (8, 1, 0)), (True, False, 11), True),
        ((True, (9, 1, 2)), (False, False, None), True),
        ((True, (9, 1, 2)), (True, False, 12), False),
        ((True, (9, 1, 2)), (True, True, 80), True),
        ((False, ()), (True, True, 80), True),
    ],
)
def test_who_reads_what(
    program: tuple[bool, tuple[int, ...]], data: tuple[bool, bool, int | None], expected: bool
) -> None:
    assert Program("p", *program).can_read(DataFormat(Path("d"), *data)) is expected
