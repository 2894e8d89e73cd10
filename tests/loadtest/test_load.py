"""``python -m loadtest.load``: it starts a service, loads it, judges, and leaves no process."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Final

from bench.frame.processes import descendants
from tests.loadtest.runs import finish, run_load, started_load, thresholds
from tests.support.plain_http import fetch
from tests.support.ports import free_port
from tests.support.processes import is_running, name_of
from tests.support.waiting import eventually

#: Where Locust's processes meet unless they are told another port.
LOCUST_PORT: Final = 5557


async def test_200_users_end_and_no_process_is_left(tmp_path: Path) -> None:
    metrics = free_port()
    async with started_load(
        tmp_path,
        # So long that the users are seen on a busy machine, too.
        *("--users", "200", "--run-time", "15s", "--metrics-port", str(metrics)),
        *thresholds(tmp_path, "[total]\nerror_ratio = 0\n"),
        *("--", "--user-rate", "0.3"),
    ) as process:
        await eventually(lambda: _shown(metrics, "load_users 200"), what="200 users")
        started = descendants(process.pid)
        names = {name_of(pid) for pid in started}
        outcome = await finish(process, tmp_path)

    assert outcome.code == 0, outcome.output
    assert any("redis" in name for name in names), names
    assert len(started) >= 3
    assert [pid for pid in started if is_running(pid)] == []
    assert "200 total users" in outcome.output
    assert (tmp_path / "report.html").stat().st_size > 10_000


async def test_the_reports_are_written_after_sigterm(tmp_path: Path) -> None:
    metrics = free_port()
    async with started_load(
        tmp_path, *("--users", "5", "--run-time", "10m", "--metrics-port", str(metrics))
    ) as process:
        await eventually(lambda: _shown(metrics, 'outcome="ok"} '), what="the first answers")
        started = descendants(process.pid)
        process.terminate()
        outcome = await finish(process, tmp_path)

    assert outcome.code == 2
    assert sum(outcome.answers.values()) > 0
    assert outcome.output.count("By version") == 1
    assert [pid for pid in started if is_running(pid)] == []


async def test_a_run_without_a_service_breaks_its_threshold(
    tmp_path: Path,
) -> None:
    outcome = await run_load(
        tmp_path,
        *("--host", f"http://127.0.0.1:{free_port()}", "--users", "2", "--run-time", "1s"),
        *thresholds(tmp_path, "[total]\nerror_ratio = 0.99\n"),
    )

    assert outcome.code == 1
    assert outcome.versions.keys() == {("-", "-")}
    assert {kind.status for kind in outcome.answers} == {0}
    assert "error_ratio" in outcome.output
    assert outcome.output.count("FAIL") == 1


async def test_several_processes_count_together(tmp_path: Path) -> None:
    with socket.socket() as another_run:
        with contextlib.suppress(OSError):  # it is taken already
            another_run.bind(("", LOCUST_PORT))
            another_run.listen()
        outcome = await run_load(
            tmp_path,
            # The time counts from before the processes have begun, which may take seconds.
            *("--users", "10", "--run-time", "6s", *thresholds(tmp_path), "--", "--processes", "2"),
        )

    assert outcome.code == 0, outcome.output
    assert sum(outcome.answers.values()) == sum(outcome.requests.values()) > 0


async def test_processes_that_can_not_meet_end(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = await run_load(
            tmp_path,
            *("--users", "10", "--run-time", "6s", *thresholds(tmp_path), "--"),
            *("--processes", "2", "--master-bind-port", port, "--master-port", port),
        )

    assert outcome.code != 0
    assert "in use" in outcome.output


def _shown(port: int, text: str) -> bool:
    try:
        return text in fetch(f"http://127.0.0.1:{port}/metrics").body.decode()
    except OSError:
        return False
