"""The embedded store can't start: exit code 2, one line on stderr, no process left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.plain_http import fetch
from tests.support.services import ServiceProcess
from tests.svc.stores.conftest import MakeService, redis_server_of


def refusal_of(service: ServiceProcess) -> str:
    """Start the service, expect exit code 2, and return the one line on stderr."""
    service.start(wait=False)
    code = service.wait()
    said = service.output()
    assert code == 2, said
    (line,) = said.splitlines()
    assert line.startswith("tallykv: "), line
    return line


def test_a_second_service_on_the_same_data_is_refused_and_the_first_goes_on(
    make_service: MakeService, tmp_path: Path
) -> None:
    first, second = make_service(), make_service()
    first.start()

    line = refusal_of(second)

    assert str(tmp_path / "data") in line
    assert str(first.pid) in line
    assert fetch(f"{first.base}/").body == b"Count is 1."


def test_a_data_directory_that_cant_be_made_is_refused(
    make_service: MakeService, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")

    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        line = refusal_of(make_service(KV_DATA_DIR=str(path)))

        assert "KV_DATA_DIR" in line
        assert str(path) in line


def test_a_data_directory_that_cant_be_written_is_refused(make_service: MakeService) -> None:
    # Not even root can create files there.
    line = refusal_of(make_service(KV_DATA_DIR="/proc/self"))

    assert "KV_DATA_DIR" in line


def test_a_damaged_append_only_file_is_refused_and_the_log_is_named(
    make_service: MakeService, redis_path: Callable[[str], str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "appendonly.aof").write_bytes(b"this is no append-only file\r\n" * 10)

    line = refusal_of(make_service(PATH=redis_path("6.2")))

    assert str(data / "redis.log") in line


def test_a_redis_server_that_does_not_start_is_refused(
    make_service: MakeService, tmp_path: Path
) -> None:
    broken = tmp_path / "broken" / "redis-server"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)

    line = refusal_of(make_service(PATH=f"{broken.parent}:/bin:/usr/bin"))

    assert str(tmp_path / "data" / "redis.log") in line


def test_a_port_in_use_ends_the_redis_server_already_started(
    make_service: MakeService, tmp_path: Path
) -> None:
    first = make_service()
    first.start()
    second = make_service(KV_DATA_DIR=str(tmp_path / "other"), KV_PORT=str(first.port))

    line = refusal_of(second)

    assert "KV_PORT" in line
    assert not (tmp_path / "other" / "redis.sock").exists()
    assert redis_server_of(first)
