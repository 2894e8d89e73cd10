"""The embedded store's files: private, bounded, of the right kind; and a full disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.plain_http import fetch
from tests.support.services import ServiceProcess
from tests.support.waiting import until
from tests.svc.stores.conftest import MakeService
from tests.svc.stores.embedded_processes import end_of, status_of


def limit_files(service: ServiceProcess, blocks: int) -> None:
    """Let no file grow beyond so many blocks of 512 bytes."""
    service.command = ("/bin/sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *service.command)


def test_a_full_disk_ends_the_service_with_one_line(make_service: MakeService) -> None:
    service = make_service()
    limit_files(service, 0)
    service.start(wait=False)

    code, line = end_of(service)

    assert code == 2
    assert "File too large" in line


def test_a_disk_that_fills_later_is_the_reason(make_service: MakeService) -> None:
    service = make_service()
    limit_files(service, 8)
    service.start()
    body = b"x" * 5000

    def is_refused() -> bool:
        return fetch(f"{service.base}/v1/kv/k", "PUT", body, Content_Type="a/b").status == 503

    until(is_refused, what="a refusal")
    assert "disk" in [each["reason"] for each in status_of(service)["store"]["failures"]]


@pytest.mark.parametrize("name", ["redis.log", "redis.sock", "lock"])
@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_a_file_that_is_something_else_is_refused_and_not_followed(
    make_service: MakeService, tmp_path: Path, name: str, kind: str
) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.write_text("precious")
    if kind == "directory":
        (data / name / "in-the-way").mkdir(parents=True)
    elif kind == "link":
        (data / name).symlink_to(elsewhere)
    else:
        os.mkfifo(data / name)
    service = make_service()
    service.start(wait=False)

    if name == "redis.sock" and kind != "directory":
        # It is replaced, as any socket of an earlier run.
        service.wait_ready()
        assert elsewhere.read_text() == "precious"
        return
    code, line = end_of(service)

    assert code == 2
    assert str(data) in line
    assert elsewhere.read_text() == "precious"


@pytest.mark.parametrize("name", ["appendonlydir", "appendonly.aof", "temp-rewriteaof-1.aof"])
def test_no_symbolic_link_is_followed_to_the_data(
    make_service: MakeService, tmp_path: Path, name: str
) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    (data / name).symlink_to(elsewhere)
    service = make_service()
    service.start(wait=False)

    code, line = end_of(service)

    assert code == 2
    assert "symbolic link" in line
    assert list(elsewhere.iterdir()) == []


def test_all_files_are_private_even_in_a_directory_that_is_not(
    make_service: MakeService, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    (data / "redis.log").touch(0o644)
    service = make_service()
    service.start()
    fetch(f"{service.base}/v1/counters/n/increments", "POST")

    open_to_others = [
        path for path in data.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]

    assert len(list(data.rglob("*"))) > 3
    assert open_to_others == []


def test_the_log_is_bounded(make_service: MakeService, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "redis.log").write_bytes(b"x" * 5_000_000)
    service = make_service()
    service.start()

    sizes = [path.stat().st_size for path in data.glob("redis.log*")]

    assert len(sizes) == 2
    assert max(sizes) <= 1 << 20
    until(lambda: b"ready to accept" in (data / "redis.log").read_bytes())
