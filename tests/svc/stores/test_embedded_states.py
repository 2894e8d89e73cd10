"""The states of the embedded store: starting, loading, serving, failed; and what each says."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.plain_http import fetch
from tests.support.processes import is_running
from tests.support.services import ServiceProcess, service_process
from tests.support.waiting import until
from tests.svc.stores.conftest import MakeService, aof_of, redis_server_of, redis_servers_of
from tests.svc.stores.embedded_processes import end_of, status_of

KEYS = 20_000


@pytest.fixture
def slow_path(tmp_path: Path, redis_binary: str) -> str:
    """A PATH with a redis-server that loads 5,000 keys a second and answers after each 1,000."""
    return path_with_slow_redis(tmp_path / "slow", redis_binary, 200)


@pytest.fixture
def slowest_path(tmp_path: Path, redis_binary: str) -> str:
    """The same with 1,000 keys a second, for tests that end before all are loaded."""
    return path_with_slow_redis(tmp_path / "slowest", redis_binary, 1000)


def path_with_slow_redis(directory: Path, redis_binary: str, key_microseconds: int) -> str:
    directory.mkdir()
    slow = directory / "redis-server"
    slow.write_text(f'#!/bin/sh\nexec {redis_binary} "$@" --key-load-delay {key_microseconds}\n')
    slow.chmod(0o755)
    return f"{directory}:/bin:/usr/bin"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory of a service that ended in order, with the entries."""
    data = tmp_path_factory.mktemp("filled") / "data"
    with service_process(KV_DATA_DIR=str(data), KV_DRAIN_SECONDS="0") as service:
        for start in range(0, KEYS, 500):
            operations = [{"op": "put", "key": f"k{start + n}", "value": n} for n in range(500)]
            body = json.dumps({"operations": operations}).encode()
            url = f"{service.base}/v1/batch"
            answer = fetch(url, "POST", body, Content_Type="application/json")
            assert answer.status == 200, answer
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    return data


@pytest.fixture
def entries(filled: Path, tmp_path: Path) -> None:
    """Put the entries into the data directory of the test."""
    shutil.copytree(filled, tmp_path / "data")


def wait_until_loading(service: ServiceProcess) -> None:
    def is_loading() -> bool:
        status = status_of(service)
        return status is not None and bool(status["store"]["loaded_ratio"])

    until(is_loading, what="loading")
    until(lambda: fetch(f"{service.admin_base}/readyz").body == b"loading\n", what="loading")


@pytest.mark.usefixtures("entries")
def test_while_it_loads_it_is_not_ready_and_says_how_far_it_is(
    make_service: MakeService, slowest_path: str
) -> None:
    service = make_service(PATH=slowest_path)
    service.start(wait=False)

    wait_until_loading(service)
    loading = status_of(service)
    ready = fetch(f"{service.admin_base}/readyz")
    with pytest.raises(OSError, match="refused"):
        fetch(f"{service.base}/v1/kv/k0")

    assert (ready.status, ready.body) == (503, b"loading\n")
    assert fetch(f"{service.admin_base}/livez").status == 200
    store = loading["store"]
    assert (loading["status"], store["state"], store["answers"]) == ("degraded", "loading", True)
    assert 0 < store["loaded_ratio"] < 1
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    assert "serving" not in service.output()


@pytest.mark.usefixtures("entries")
def test_a_worker_is_not_ready_while_the_redis_of_all_workers_loads_again(
    make_service: MakeService, tmp_path: Path, redis_binary: str
) -> None:
    # Slow enough that a busy machine sees it load.
    slower_path = path_with_slow_redis(tmp_path / "slower", redis_binary, 500)
    service = make_service(PATH=slower_path, KV_WORKERS="2")
    service.start()

    os.kill(redis_server_of(service), signal.SIGKILL)

    until(lambda: fetch(f"{service.admin_base}/readyz").status == 503, what="the restart")
    until(lambda: fetch(f"{service.admin_base}/readyz").status == 200, what="healing")
    assert fetch(f"{service.base}/v1/kv/k0").status == 200


@pytest.mark.usefixtures("entries")
def test_ready_means_that_the_first_request_is_answered(
    make_service: MakeService, slow_path: str
) -> None:
    service = make_service(PATH=slow_path)
    service.start()

    assert fetch(f"{service.base}/v1/kv/k0").status == 200
    status = status_of(service)
    assert (status["status"], status["store"]["state"]) == ("ok", "serving")
    assert status["store"]["loaded_ratio"] is None


@pytest.mark.usefixtures("entries")
def test_a_file_damaged_near_its_end_ends_the_service_with_one_line(
    make_service: MakeService, tmp_path: Path, slow_path: str
) -> None:
    aof = aof_of(tmp_path / "data")
    content = bytearray(aof.read_bytes())
    command = content.rindex(b"$3\r\nSET")
    content[command : command + 1] = b"?"
    aof.write_bytes(content)
    service = make_service(PATH=slow_path)
    service.start(wait=False)

    code, line = end_of(service)

    assert code == 2
    assert line.startswith("tallykv: redis-server ended with code 1 while it was ")
    assert "Bad file format" in line
    assert str(tmp_path / "data" / "redis.log") in line


@pytest.mark.usefixtures("entries")
def test_a_truncated_file_says_how_many_bytes_were_cut(
    make_service: MakeService, tmp_path: Path
) -> None:
    aof = aof_of(tmp_path / "data")
    with aof.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$1\r\nk")
    service = make_service()
    service.start()
    service.signal(signal.SIGTERM)
    assert service.wait() == 0

    (line,) = [each for each in service.output().splitlines() if "bytes_cut" in each]
    assert '"bytes_cut":18' in line


@pytest.mark.usefixtures("entries")
def test_a_redis_that_ends_while_it_loads_ends_the_service(
    make_service: MakeService, slowest_path: str
) -> None:
    service = make_service(PATH=slowest_path)
    service.start(wait=False)
    wait_until_loading(service)

    os.kill(redis_server_of(service), signal.SIGKILL)

    code, line = end_of(service)
    assert code == 2
    assert "ended with code -9 while it was loading" in line


def test_a_redis_that_can_not_start_again_ends_the_service_with_code_1(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service()
    service.start()
    fetch(f"{service.base}/v1/counters/n/increments", "POST")
    aof = aof_of(tmp_path / "data")
    aof.write_bytes(b"this is no append-only file\r\n" * 10)

    os.kill(redis_server_of(service), signal.SIGKILL)

    code, line = end_of(service)
    assert code == 1
    assert line.startswith("tallykv: redis-server ended with code 1 while it was ")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_program_that_hangs_ends_the_service_and_is_ended(
    make_service: MakeService, tmp_path: Path, workers: str
) -> None:
    hanging = tmp_path / "hanging" / "redis-server"
    hanging.parent.mkdir()
    hanging.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exit 0\ntrap "" TERM\nwhile :; do sleep 0.1; done\n'
    )
    hanging.chmod(0o755)
    service = make_service(PATH=f"{hanging.parent}:/bin:/usr/bin", KV_WORKERS=workers)
    service.start(wait=False)
    (pid,) = until(lambda: redis_servers_of(service))

    code, line = end_of(service)

    assert code == 2
    assert "did not answer within 10 s" in line
    assert not is_running(pid)


def test_a_program_whose_version_hangs_ends_the_service(
    make_service: MakeService, tmp_path: Path
) -> None:
    hanging = tmp_path / "hanging" / "redis-server"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 1000\n")
    hanging.chmod(0o755)
    service = make_service(PATH=f"{hanging.parent}:/bin:/usr/bin")
    service.start(wait=False)

    code, line = end_of(service)

    assert code == 2
    assert "hangs" in line


def test_a_program_that_is_none_ends_the_service(make_service: MakeService, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "redis-server"
    broken.parent.mkdir()
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    service = make_service(PATH=f"{broken.parent}:/bin:/usr/bin")
    service.start(wait=False)

    code, line = end_of(service)

    assert code == 2
    assert "can't be run" in line
