"""Lines reach a pipe whole: one that blocks, one that does not, and one that several share."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from svc.telemetry.logs import QueuedHandler
from tests.support.services import ROOT
from tests.support.waiting import until

#: Several times what a pipe holds (64 KiB), in lines longer than it takes in one piece (4 KiB).
LINES: Final = 200
LONG: Final = 5000


@contextmanager
def handler_on_pipe(*, blocking: bool) -> Iterator[tuple[QueuedHandler, int]]:
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    try:
        with os.fdopen(writing, "w") as stream:
            handler = QueuedHandler(stream, logging.Formatter("%(message)s"))
            try:
                yield handler, reading
            finally:
                handler.close()
    finally:
        os.close(reading)


def say(handler: QueuedHandler, message: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": message, "levelno": logging.INFO}))


def start_reading(pipe: int, into: list[bytes]) -> threading.Thread:
    """Read until the writers have closed the pipe, also when ``pipe`` is closed before."""
    own = os.dup(pipe)

    def read() -> None:
        try:
            while data := os.read(own, 65536):
                into.append(data)
        finally:
            os.close(own)

    reader = threading.Thread(target=read)
    reader.start()
    return reader


@pytest.mark.parametrize("blocking", [True, False])
def test_a_full_pipe_gets_every_line_whole(blocking: bool) -> None:
    read: list[bytes] = []
    dropped: list[tuple[str, int]] = []
    with handler_on_pipe(blocking=blocking) as (handler, reading):
        handler.on_drop = lambda reason, lines: dropped.append((reason, lines))
        for n in range(LINES):
            say(handler, f"{n}:" + "x" * LONG)
        # The pipe is full, and the writer waits for its reader.
        until(lambda: not handler._waiting, what="the writer")

        reader = start_reading(reading, read)
        until(lambda: b"".join(read).count(b"\n") == LINES, what="the lines")
        say(handler, "end")
        until(lambda: b"".join(read).endswith(b"end\n"), what="the last line")
    reader.join(10)

    lines = b"".join(read).decode().splitlines()
    assert lines == [*(f"{n}:" + "x" * LONG for n in range(LINES)), "end"]
    assert dropped == []


def test_what_a_gone_reader_can_not_get_is_counted() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lost = 0

    def count(reason: str, lines: int) -> None:
        nonlocal lost
        assert reason == "unwritten"
        lost += lines

    with os.fdopen(writing, "w") as stream:
        handler = QueuedHandler(stream, logging.Formatter("%(message)s"))
        handler.on_drop = count
        for n in range(2500):  # more than are written at once
            say(handler, str(n))
        handler.close()

    assert lost == 2500


def test_a_line_that_can_not_be_made_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    dropped: list[tuple[str, int]] = []
    with handler_on_pipe(blocking=True) as (handler, _):
        handler.on_drop = lambda reason, lines: dropped.append((reason, lines))
        handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
        until(lambda: dropped, what="the count")

    assert dropped == [("unwritten", 1)]


WRITER: Final = f"""
import logging, sys
from svc.telemetry.logs import set_up_logs
handler = set_up_logs(as_json=False, resource={{}}, is_shared=True)
for n in range({LINES}):
    logging.getLogger("w").info(sys.argv[1] * (100 if n % 2 else {LONG}))
sys.stdin.read()
handler.close()
"""


@pytest.mark.parametrize("blocking", [True, False])
def test_the_lines_of_processes_that_share_a_pipe_are_whole(blocking: bool) -> None:
    """Long ones too: the system keeps no more than 4 KiB of one write together."""
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    read: list[bytes] = []
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, name], cwd=ROOT, stdin=subprocess.PIPE, stderr=writing
        )
        for name in "abc"
    ]
    os.close(writing)
    reader = start_reading(reading, read)
    try:
        until(lambda: b"".join(read).count(b"\n") == 3 * LINES, what="the lines")
    finally:
        for writer in writers:
            writer.communicate(timeout=60)
        reader.join(30)
        os.close(reading)

    for line in b"".join(read).decode().splitlines():
        text = line.partition(" w: ")[2]
        assert text in {name * count for name in "abc" for count in (100, LONG)}, line[:80]
