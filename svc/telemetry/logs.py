"""Logs: a constant message, and the facts of the case as fields beside it.

One JSON object a line, its fields named as OpenTelemetry's log model and conventions name them; for
people, when stderr is a terminal. Lines are written by a thread from a bounded queue: a stderr that
nobody reads must not hold up the event loop.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from .trace import TRACE

#: Lines that may wait to be written; more are dropped, and counted.
MAX_QUEUED: Final = 10_000
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
        return _encode(line).decode()


def add_trace(record: logging.LogRecord) -> bool:
    """Name the trace of the request that the line is about, sampled or not."""
    trace = TRACE.get()
    if trace.trace_id:
        record.trace_id = trace.trace_id
        record.trace_flags = "01" if trace.sampled else "00"
        if trace.span is not None:
            record.span_id = f"{trace.span.get_span_context().span_id:016x}"
    return True


class QueuedHandler(logging.Handler):
    """Formats where the line is logged, writes in a thread of its own."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.addFilter(add_trace)
        #: Called for each line that there is no room for.
        self.on_drop: Callable[[], None] | None = None
        self._stream = stream
        self._queue: queue.Queue[str | None] = queue.Queue(MAX_QUEUED)
        self._writer = threading.Thread(target=self._write, name="write-logs", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._queue.put_nowait(self.format(record) + "\n")
        except queue.Full:
            if self.on_drop is not None:
                self.on_drop()
        except Exception:  # noqa: BLE001 - as every handler: a line that can't be made ends no request
            self.handleError(record)

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            lines = [line]
            try:
                while len(lines) < 1000:
                    more = self._queue.get_nowait()
                    if more is None:
                        return self._put_out(lines)
                    lines.append(more)
            except queue.Empty:
                pass
            self._put_out(lines)
        return None

    def _put_out(self, lines: list[str]) -> None:
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except OSError:
            return  # nobody listens any more

    def close(self) -> None:
        """Write what is queued, within FLUSH_SECONDS."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            pass
        else:
            self._writer.join(FLUSH_SECONDS)
        super().close()


def set_up_logs(
    *, as_json: bool, resource: Mapping[str, str], stream: TextIO | None = None
) -> QueuedHandler:
    """Log to stderr, as JSON or for people; return the handler, to be closed at the end."""
    formatter = JsonFormatter(resource) if as_json else TextFormatter()
    handler = QueuedHandler(sys.stderr if stream is None else stream, formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return handler
