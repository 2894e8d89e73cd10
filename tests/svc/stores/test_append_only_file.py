"""A kill that leaves a part of a script's effects in the append-only file counts nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from svc.stores.embedded.append_only_file import cut_incomplete_transaction
from tests.conftest import need_redis_6, need_redis_7, need_valkey
from tests.support.plain_http import fetch
from tests.support.processes import is_running
from tests.support.services import ServiceProcess
from tests.support.waiting import eventually
from tests.svc.stores.conftest import MakeService, aof_of, kill

MULTI = b"*1\r\n$5\r\nMULTI\r\n"
STEP = b"*3\r\n$6\r\nINCRBY\r\n$1\r\nn\r\n$1\r\n1\r\n"
#: The value looks like the begin of a transaction.
RECORD = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$15\r\n" + MULTI + b"\r\n"
EXEC = b"*1\r\n$4\r\nEXEC\r\n"
WHOLE = MULTI + STEP + RECORD + EXEC


@pytest.fixture(params=[need_redis_6, need_redis_7, need_valkey])
def binary(request: pytest.FixtureRequest) -> str:
    return str(request.param())


def cut(file: Path, binary: str, content: bytes) -> int:
    file.write_bytes(content)
    return asyncio.run(cut_incomplete_transaction(file, binary))


def test_each_part_of_a_transaction_is_cut_off(binary: str, tmp_path: Path) -> None:
    file = tmp_path / "appendonly.aof"
    for size in range(len(MULTI), len(WHOLE), 3):
        assert cut(file, binary, 2 * WHOLE + WHOLE[:size]) == size
        assert file.read_bytes() == 2 * WHOLE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE,
        WHOLE + STEP,
        # redis-server cuts these off itself.
        WHOLE + MULTI[:-4],
        WHOLE + STEP[:-4],
        # Damage in the middle: what follows it must not be lost.
        WHOLE + MULTI + STEP.replace(b"*3", b"#3") + RECORD + EXEC + WHOLE + STEP,
        WHOLE + MULTI + STEP + WHOLE + STEP,
        b"not an append-only file",
    ],
)
def test_all_else_stays(binary: str, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "appendonly.aof"

    assert cut(file, binary, content) == 0
    assert file.read_bytes() == content


async def test_a_check_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    hanging, pid = tmp_path / "hanging", tmp_path / "pid"
    hanging.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n")
    hanging.chmod(0o755)
    (tmp_path / "appendonly.aof").write_bytes(WHOLE[:-4])
    check = asyncio.create_task(
        cut_incomplete_transaction(tmp_path / "appendonly.aof", str(hanging))
    )
    await eventually(lambda: pid.exists() and pid.read_text().strip(), what="the check")

    check.cancel()
    await asyncio.wait([check])

    assert not is_running(int(pid.read_text()))


def step(service: ServiceProcess, operation: str) -> int:
    answer = fetch(
        f"{service.base}/v1/counters/n/increments", "POST", b"", **{"Idempotency-Key": operation}
    )
    assert answer.status == 200, answer
    value: int = answer.json["value"]
    return value


def test_an_increment_that_a_kill_tore_is_counted_once_however_often_it_is_killed(
    make_service: MakeService, tmp_path: Path
) -> None:
    first = make_service()
    first.start()
    assert [step(first, f"op-{n}") for n in range(3)] == [1, 2, 3]
    kill(first)

    # What a kill in the middle of the write of op-2 leaves.
    aof = aof_of(tmp_path / "data")
    content = aof.read_bytes()
    begin = content.rindex(MULTI)
    aof.write_bytes(content[: content.index(b"SET", begin)])

    second = make_service()
    second.start()
    assert step(second, "op-2") == 3
    kill(second)

    third = make_service()
    third.start()
    assert step(third, "op-2") == 3
    assert step(third, "op-3") == 4
