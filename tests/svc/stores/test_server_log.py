"""The embedded redis-server's log: bounded while redis-server writes to it, and read back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from svc.stores.embedded import server_log
from svc.stores.embedded.server_log import ServerLog

LINE = b"1:M 29 Nov 2026 18:03:17.843 # "


def test_a_log_that_grows_is_moved_and_goes_on_at_its_new_start(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "redis.log")
    descriptor = log.open()
    try:
        os.write(descriptor, b"old" * server_log.MAX_BYTES)
        log.bound()
        os.write(descriptor, LINE + b"new\n")
    finally:
        os.close(descriptor)

    older = tmp_path / "redis.log.1"
    assert (tmp_path / "redis.log").read_bytes() == LINE + b"new\n"
    assert older.stat().st_size == server_log.MAX_BYTES
    assert older.stat().st_mode & 0o077 == 0
    assert log.last_warning() == "new"


def test_a_link_in_place_of_the_older_log_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / "redis.log.1").symlink_to(elsewhere)
    (tmp_path / "redis.log").write_bytes(b"x" * (server_log.MAX_BYTES + 1))

    with pytest.raises(OSError, match="symbolic links"):
        ServerLog(tmp_path / "redis.log").bound()

    assert elsewhere.read_text() == "precious"


@pytest.mark.parametrize(
    ("said", "sizes", "cut"),
    [
        (b"!!! Truncating the AOF a.1.incr.aof at offset 58 !!!", {"a.1.incr.aof": 86}, 28),
        (b"!!! Truncating the AOF at offset 58 !!!", {"appendonly.aof": 86}, 28),
        (b"Ready to accept connections", {"appendonly.aof": 86}, 0),
    ],
)
def test_the_bytes_that_redis_cut_off_are_counted_for_this_start_only(
    tmp_path: Path, said: bytes, sizes: dict[str, int], cut: int
) -> None:
    path = tmp_path / "redis.log"
    path.write_bytes(LINE + b"!!! Truncating the AOF at offset 1 !!!\n")
    log = ServerLog(path)
    os.close(log.open())
    with path.open("ab") as file:
        file.write(LINE + said + b"\n")

    assert log.bytes_cut(sizes) == cut


def test_what_redis_prints_before_it_logs_is_its_last_warning(tmp_path: Path) -> None:
    path = tmp_path / "redis.log"
    log = ServerLog(path)
    os.close(log.open())
    path.write_text("\n*** FATAL CONFIG FILE ERROR ***\nargument must be a number\n")

    assert log.last_warning() == "argument must be a number"
