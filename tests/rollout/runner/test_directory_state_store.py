"""Processes are killed while they write; the file is always one of the states they saved."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

import pytest

from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.state_store import StateFailed, StateHeld
from tests.rollout.runner.state_writers import started, state
from tests.support.waiting import until

KILLS: Final = 60
MOMENT_SECONDS: Final = 0.004


@contextlib.contextmanager
def running(call: str, directory: Path) -> Iterator[Popen[str]]:
    process = started(call, directory)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def complete_events(directory: Path) -> list[dict[str, Any]]:
    """Parse the log, without a last line that a killed writer left incomplete."""
    *complete, _ = (directory / "events.jsonl").read_text().split("\n")
    return [json.loads(line) for line in complete]


def lines(process: Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout)


async def test_a_writer_killed_at_any_moment_leaves_a_state_it_saved(tmp_path: Path) -> None:
    store = DirectoryStateStore(tmp_path)
    random_numbers = random.Random(7)
    last = 0
    with running("nursery(directory)", tmp_path) as process:
        out = lines(process)
        for _ in range(KILLS):
            with writing(process, out) as pid:
                # How far it gets, and how far into the next write, is random.
                said = [int(next(out)) for _ in range(random_numbers.randint(1, 4))]
                time.sleep(random_numbers.random() * MOMENT_SECONDS)  # noqa: ASYNC251 - nothing else runs
                os.kill(pid, signal.SIGKILL)
                said += [int(each) for each in iter(lambda: next(out), "gone\n") if each.strip()]

            kept = await store.load()
            assert kept is not None
            number = int(kept["number"])
            assert kept == state(number)
            # The last number it printed is saved; perhaps one more that it had no time to print.
            assert said[-1] <= number <= said[-1] + 1
            assert number > last
            last = number
            events = [each["number"] for each in complete_events(tmp_path)]
            assert events == sorted(set(events))
            # Between saving and recording it may be killed, too.
            assert set(said[:-1]) <= set(events) <= set(range(number + 1))


def test_killed_writers_leave_at_most_one_file(tmp_path: Path) -> None:
    with running("nursery(directory)", tmp_path) as process:
        out = lines(process)
        for _ in range(3):
            with writing(process, out) as pid:
                next(out)
                os.kill(pid, signal.SIGKILL)
                assert "gone\n" in iter(lambda: next(out), None)

    left = {each.name for each in tmp_path.iterdir()}
    assert left <= {"state.json", ".state.json.new", "events.jsonl", "runner.lock"}


@contextlib.contextmanager
def writing(nursery: Popen[str], out: Iterator[str]) -> Iterator[int]:
    assert nursery.stdin is not None
    nursery.stdin.write("\n")
    nursery.stdin.flush()
    pid = int(next(out).removeprefix("pid "))
    try:
        yield pid
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


async def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    store = DirectoryStateStore(tmp_path)
    with running("asyncio.run(hold(directory))", tmp_path) as process:
        assert next(lines(process)) == "held\n"

        with pytest.raises(StateHeld, match=f"process {process.pid} on "):
            async with store.hold():
                pytest.fail("two runners")

        process.send_signal(signal.SIGKILL)
        until(lambda: process.poll() is not None)
        async with store.hold():
            await store.save({"step": 1})

    assert await store.load() == {"step": 1}


async def test_an_incomplete_event_is_removed_before_the_next_one(tmp_path: Path) -> None:
    store = DirectoryStateStore(tmp_path)
    await store.record({"number": 1})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"number": 2, "padding": "' + "x" * 10_000)

    await store.record({"number": 3})

    assert complete_events(tmp_path) == [{"number": 1}, {"number": 3}]


async def test_a_log_with_only_an_incomplete_event_starts_again(tmp_path: Path) -> None:
    store = DirectoryStateStore(tmp_path)
    (tmp_path / "events.jsonl").write_text('{"number"')

    await store.record({"number": 1})

    assert complete_events(tmp_path) == [{"number": 1}]


async def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    store = DirectoryStateStore(tmp_path / "new" / "place")
    async with store.hold():
        await store.save({})
        await store.record({})

    modes = {each.name: each.stat().st_mode & 0o777 for each in (tmp_path / "new/place").iterdir()}
    assert modes == {"state.json": 0o600, "events.jsonl": 0o600, "runner.lock": 0o600}


async def test_a_directory_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = DirectoryStateStore(tmp_path / "file")

    with pytest.raises(StateFailed, match=r"file: .*fix that and run the command again"):
        async with store.hold():
            pytest.fail("held nothing")
    with pytest.raises(StateFailed, match="Not a directory; fix that"):
        await store.load()
