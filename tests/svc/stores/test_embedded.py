"""``embedded:``: the service's own redis-server, whose data survive restarts of both."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.plain_http import PlainAnswer, fetch
from tests.support.processes import is_running
from tests.support.services import ServiceProcess
from tests.support.waiting import until
from tests.svc.stores.conftest import MakeService, kill, redis_server_of, redis_servers_of


def write(service: ServiceProcess, key: str, body: bytes) -> PlainAnswer:
    return fetch(f"{service.base}/v1/kv/{key}", "PUT", body, Content_Type="text/plain")


def read(service: ServiceProcess, key: str) -> PlainAnswer:
    return fetch(f"{service.base}/v1/kv/{key}")


def step(service: ServiceProcess) -> PlainAnswer:
    return fetch(f"{service.base}/v1/counters/n/increments", "POST")


def start_again(service: ServiceProcess) -> None:
    service.stop()  # closes its pipes
    service.start()


def end(service: ServiceProcess, number: signal.Signals = signal.SIGTERM) -> int:
    service.signal(number)
    return service.wait()


def test_data_are_kept_across_an_orderly_restart_and_private(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(KV_DATA_DIR=os.path.relpath(tmp_path / "relative"))
    service.start()
    etag = write(service, "k", b"v").headers["ETag"]
    step(service)
    server = redis_server_of(service)
    assert (tmp_path / "relative").stat().st_mode & 0o077 == 0

    assert end(service) == 0
    assert not is_running(server)
    start_again(service)

    kept = read(service, "k")
    assert (kept.status, kept.body, kept.headers["ETag"]) == (200, b"v", etag)
    assert step(service).json["value"] == 2


def test_an_acknowledged_write_is_there_after_kill_9_and_a_restart_at_once(
    make_service: MakeService,
) -> None:
    service = make_service()
    service.start()
    for number in range(200):
        assert write(service, f"k{number}", b"%d" % number).status == 201
        assert step(service).json["value"] == number + 1
    server = redis_server_of(service)

    kill(service)
    start_again(service)

    assert step(service).json["value"] == 201
    for number in range(200):
        assert read(service, f"k{number}").body == b"%d" % number
    assert not is_running(server)


def test_after_kill_9_of_the_service_its_redis_server_ends_too(make_service: MakeService) -> None:
    service = make_service()
    service.start()
    server = redis_server_of(service)

    kill(service)

    until(lambda: not is_running(server), what="the end of redis-server")


def test_a_killed_redis_server_is_started_again_and_the_service_heals(
    make_service: MakeService,
) -> None:
    service = make_service()
    service.start()
    assert write(service, "k", b"v").status == 201
    first = redis_server_of(service)

    for _ in range(2):
        server = redis_server_of(service)
        os.kill(server, signal.SIGKILL)
        until(lambda dead=server: redis_servers_of(service) not in ([], [dead]))  # type: ignore[misc]
        until(lambda: read(service, "k").status != 503, what="healing")

        assert read(service, "k").body == b"v"
    assert write(service, "k", b"w").status == 200
    assert redis_server_of(service) != first
    assert fetch(f"{service.admin_base}/statusz").json["store"]["mode"] == "embedded"


def test_ctrl_c_ends_both_with_code_0(make_service: MakeService) -> None:
    service = make_service()
    service.start()
    write(service, "k", b"v")
    server = redis_server_of(service)

    assert end(service, signal.SIGINT) == 0

    assert not is_running(server)


def test_a_path_too_long_for_a_socket_works_all_the_same(
    make_service: MakeService, tmp_path: Path
) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-name-of-a-directory"] * 5)
    assert len(str(deep)) > 108
    service = make_service(KV_DATA_DIR=str(deep))
    service.start()

    assert write(service, "k", b"v").status == 201

    assert end(service) == 0
    assert list(deep.glob("appendonly*"))
    start_again(service)
    assert read(service, "k").body == b"v"
