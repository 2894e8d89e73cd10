"""Logs: a constant message, and the facts of the case as fields beside it.

One JSON object a line, its fields named as OpenTelemetry's log model and conventions name them; for
people, when stderr is a terminal. Lines are written by a thread from a bounded queue: a stderr that
nobody reads must not hold up the event loop.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from .trace import TRACE

#: Lines that may wait to be written; more are dropped, and counted.
MAX_QUEUED: Final = 10_000
#: How long a line may wait for others to be written with.
GATHER_SECONDS: Final = 0.05
#: What a pipe takes in one piece, whoever else writes to it (PIPE_BUF on Linux).
PIPE_BYTES: Final = 4096
#: How long the last lines may take to be written.
FLUSH_SECONDS: Final = 2.0

#: What every record has; anything else was given as ``extra``.
_COMMON: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _COMMON}


class TextFormatter(logging.Formatter):
    """For people: appends each fact as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        line, newline, trace = super().format(record).partition("\n")
        facts = [f"{n}={v!r}" for n, v in facts_of(record).items()]
        return " ".join([line, *facts]) + newline + trace


class JsonFormatter(logging.Formatter):
    """For machines: one object a line; ``resource`` says who speaks, on every line."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        super().__init__()
        self._resource = dict(resource)

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: dict[str, Any] = {
            "timestamp": when.replace("+00:00", "Z"),
            "severity_text": record.levelname,
            "body": record.getMessage(),
            "logger": record.name,
            **self._resource,
            **facts_of(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception.type"] = record.exc_info[0].__qualname__
            line["exception.message"] = str(record.exc_info[1])
            line["exception.stacktrace"] = "".join(traceback.format_exception(*record.exc_info))
        try:
            return _encode(line).decode()
        except UnicodeEncodeError:  # half a character, from a request that is no UTF-8
            return json.dumps(line, default=str)


def add_trace(record: logging.LogRecord) -> bool:
    """Name the trace of the request that the line is about, sampled or not."""
    trace = TRACE.get()
    if trace.trace_id:
        record.trace_id = trace.trace_id
        record.trace_flags = "01" if trace.sampled else "00"
        if trace.sampled:
            record.span_id = trace.span_id
    return True


class QueuedHandler(logging.Handler):
    """Formats and writes in a thread of its own, many lines at a time."""

    def __init__(
        self, stream: TextIO, formatter: logging.Formatter, *, is_shared: bool = False
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.addFilter(add_trace)
        #: Called for each line that there is no room for.
        self.on_drop: Callable[[], None] | None = None
        self._put = _writer_to(stream, is_shared=is_shared)
        self._waiting: deque[logging.LogRecord] = deque()
        self._some = threading.Event()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._run, name="write-logs", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._waiting) >= MAX_QUEUED:
            if self.on_drop is not None:
                self.on_drop()
            return
        self._waiting.append(record)
        if not self._some.is_set():
            self._some.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._some.wait()
            # Others will follow: together they cost a fraction.
            self._closing.wait(GATHER_SECONDS)
            self._some.clear()
            self._write()
        self._write()

    def _write(self) -> None:
        while self._waiting:
            lines: list[str] = []
            while self._waiting and len(lines) < 1000:
                record = self._waiting.popleft()
                try:
                    lines.append(self.format(record) + "\n")
                except Exception:  # noqa: BLE001 - as in every handler: a line must not end the rest
                    self.handleError(record)
            try:
                self._put("".join(lines))
            except OSError:
                return  # nobody listens any more

    def close(self) -> None:
        """Write what is queued, within FLUSH_SECONDS."""
        if self._closing.is_set():  # logging closes its handlers once more at exit
            return
        self._closing.set()
        self._some.set()
        self._writer.join(FLUSH_SECONDS)
        super().close()


def _writer_to(stream: TextIO, *, is_shared: bool) -> Callable[[str], object]:
    """Return what writes to the stream, past Python's buffer where there is a file below.

    A thread that waits in a write holds that buffer's lock, and whoever flushes it at the end, as
    Python itself does, would wait for ever.
    """
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):

        def write(text: str) -> None:
            stream.write(text)
            stream.flush()

        return write

    def write_through(text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        for left in _whole_lines(data, PIPE_BYTES) if is_shared else [data]:
            while left:
                left = left[os.write(descriptor, left) :]  # noqa: PLW2901 - what is left of it

    return write_through


def _whole_lines(data: bytes, most: int) -> Iterator[bytes]:
    """Cut behind ends of lines, into pieces of at most ``most`` bytes where lines are shorter."""
    start = 0
    while start < len(data):
        end = len(data)
        if end - start > most:
            end = data.rfind(b"\n", start, start + most) + 1 or data.find(b"\n", start) + 1 or end
        yield data[start:end]
        start = end


def set_up_logs(
    *,
    as_json: bool,
    resource: Mapping[str, str],
    stream: TextIO | None = None,
    is_shared: bool = False,
) -> QueuedHandler:
    """Log to stderr, as JSON or for people; return the handler, to be closed at the end.

    ``is_shared``: other processes write there as well, and must not get between a line's halves.
    """
    formatter = JsonFormatter(resource) if as_json else TextFormatter()
    output = sys.stderr if stream is None else stream
    handler = QueuedHandler(output, formatter, is_shared=is_shared)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return handler
