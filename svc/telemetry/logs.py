"""Structured logs: a constant message, with the facts in fields.

Each line is a JSON object with the field names of OpenTelemetry's log data model and semantic
conventions, or plain text for a terminal. A thread writes the lines from a bounded queue, so that a
blocked stderr does not block the event loop.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from .foreign_logs import hide_texts
from .log_output import writer_to
from .trace import TRACE

#: Lines that may wait to be written. Further ones are dropped and counted.
MAX_QUEUED: Final = 10_000
#: How long a line may wait, so that more lines are written together.
GATHER_SECONDS: Final = 0.05
#: How long close() waits for the last lines to be written.
FLUSH_SECONDS: Final = 2.0

#: The attributes of every record. Any other was passed as ``extra``.
_COMMON: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields that were passed as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _COMMON}


class TextFormatter(logging.Formatter):
    """Formats for people: the message, then each field as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        line, newline, trace = super().format(record).partition("\n")
        fields = [f"{n}={v!r}" for n, v in extra_of(record).items()]
        return " ".join([line, *fields]) + newline + trace


class JsonFormatter(logging.Formatter):
    """Formats as JSON objects; each has the ``resource`` attributes of this process."""

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
            **extra_of(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception.type"] = record.exc_info[0].__qualname__
            line["exception.message"] = str(record.exc_info[1])
            line["exception.stacktrace"] = "".join(traceback.format_exception(*record.exc_info))
        try:
            return _encode(line).decode()
        except UnicodeEncodeError:  # a lone surrogate, from a request that is not valid UTF-8
            return json.dumps(line, default=str)


def add_trace(record: logging.LogRecord) -> bool:
    """Logging filter: add the trace id of the current request. Always return True."""
    trace = TRACE.get()
    if trace.trace_id:
        record.trace_id = trace.trace_id
        record.trace_flags = "01" if trace.sampled else "00"
        if trace.sampled:
            record.span_id = trace.span_id
    return True


class QueuedHandler(logging.Handler):
    """Formats and writes records in its own thread, many lines at a time."""

    def __init__(
        self, stream: TextIO, formatter: logging.Formatter, *, is_shared: bool = False
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.addFilter(add_trace)
        self.addFilter(hide_texts)
        #: Called with a reason and the number of lines that are lost: ``queue_full`` in the thread
        #: that logs, ``unwritten`` in the one that writes.
        self.on_drop: Callable[[str, int], None] = lambda _reason, _lines: None
        self._put = writer_to(stream, is_shared=is_shared)
        self._waiting: deque[logging.LogRecord] = deque()
        self._some = threading.Event()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._run, name="write-logs", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._waiting) >= MAX_QUEUED:
            self.on_drop("queue_full", 1)
            return
        self._waiting.append(record)
        if not self._some.is_set():
            self._some.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._some.wait()
            # Writing lines together costs a fraction of writing each alone.
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
                except Exception:  # noqa: BLE001 - as in every logging.Handler: go on after a bad record
                    self.handleError(record)
                    self.on_drop("unwritten", 1)
            try:
                self._put("".join(lines))
            except OSError:  # the reader of stderr has gone, or its disk is full
                self.on_drop("unwritten", len(lines))

    def close(self) -> None:
        """Write what is queued, within FLUSH_SECONDS."""
        if self._closing.is_set():  # logging closes its handlers again at exit
            return
        self._closing.set()
        self._some.set()
        self._writer.join(FLUSH_SECONDS)
        super().close()


def set_up_logs(
    *,
    as_json: bool,
    resource: Mapping[str, str],
    stream: TextIO | None = None,
    is_shared: bool = False,
) -> QueuedHandler:
    """Log to stderr, as JSON or as text. Return the handler, which must be closed at the end.

    ``is_shared``: other processes of the service write to the same stream.
    """
    formatter = JsonFormatter(resource) if as_json else TextFormatter()
    output = sys.stderr if stream is None else stream
    handler = QueuedHandler(output, formatter, is_shared=is_shared)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return handler
