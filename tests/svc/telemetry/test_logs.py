"""Log lines, as JSON objects or text. A blocked stderr blocks no request."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.telemetry import logs
from svc.telemetry.logs import JsonFormatter, QueuedHandler, TextFormatter, add_trace
from svc.telemetry.trace import TRACE, RequestTrace
from tests.support.waiting import until

TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
RESOURCE: Final = {"service.name": "kv", "service.version": "1.2.3", "track": "canary"}


def record(message: str = "said", level: int = logging.INFO, **facts: Any) -> logging.LogRecord:
    return logging.getLogger("svc.test").makeRecord(
        "svc.test", level, "file.py", 1, message, (), None, extra=facts
    )


def failed(error: Exception) -> logging.LogRecord:
    made = record("it failed", logging.ERROR)
    try:
        raise_it(error)
    except Exception as raised:  # noqa: BLE001 - that it is any is the point
        made.exc_info = (type(raised), raised, raised.__traceback__)
    return made


def raise_it(error: Exception) -> None:
    raise error


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter(RESOURCE).format(made)
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def test_a_line_has_time_severity_message_and_resource() -> None:
    made = record("redis is down", logging.WARNING, attempts=3)

    line = as_json(made)

    when = datetime.fromtimestamp(made.created, UTC)
    assert datetime.fromisoformat(line.pop("timestamp")) == when.replace(
        microsecond=round(made.created % 1 * 1e6) % 1_000_000
    )
    assert line == {
        "severity_text": "WARNING",
        "body": "redis is down",
        "logger": "svc.test",
        **RESOURCE,
        "attempts": 3,
    }


def test_the_time_is_utc_to_the_microsecond() -> None:
    made = record()
    made.created = 1_795_179_600.0

    assert as_json(made)["timestamp"] == "2026-11-20T13:00:00.000000Z"


facts = st.dictionaries(
    st.from_regex(r"fact_[a-z]{1,8}", fullmatch=True),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8")),
        st.lists(st.integers(0, 9)),
    ),
    max_size=5,
)


@given(facts=facts, message=st.text(st.characters(codec="utf-8")).filter(lambda m: "%" not in m))
def test_whatever_the_facts_are_the_line_is_one_and_holds_them(
    facts: dict[str, Any], message: str
) -> None:
    line = as_json(record(message, **facts))

    assert line["body"] == message
    assert {name: line[name] for name in facts} == facts


@pytest.mark.parametrize("odd", [object(), {1, 2}, Exception("e"), b"\xff", float("nan")])
def test_a_field_of_any_type_makes_a_line(odd: object) -> None:
    assert "odd" in as_json(record(odd=odd))


def test_an_exception_is_logged_in_fields() -> None:
    line = as_json(failed(KeyError("lost\nand found")))

    assert line["exception.type"] == "KeyError"
    assert line["exception.message"] == repr("lost\nand found")
    assert line["exception.stacktrace"].startswith("Traceback (most recent call last):\n")
    assert "test_logs.py" in line["exception.stacktrace"]


def test_in_the_text_format_the_fields_and_the_traceback_follow_the_message() -> None:
    made = failed(ValueError("bad"))
    made.attempts = 3

    head, *rest = TextFormatter().format(made).splitlines()

    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]+ ERROR svc.test: it failed attempts=3", head)
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: bad"


@pytest.mark.parametrize(
    ("trace", "shown"),
    [
        (RequestTrace(TRACE_ID), {"trace_id": TRACE_ID, "trace_flags": "00"}),
        (
            RequestTrace(TRACE_ID, sampled=True, span_id="00f067aa0ba902b7"),
            {"trace_id": TRACE_ID, "trace_flags": "01", "span_id": "00f067aa0ba902b7"},
        ),
    ],
    ids=["unsampled", "sampled"],
)
def test_a_line_of_a_request_names_its_trace(trace: RequestTrace, shown: dict[str, str]) -> None:
    made = record()
    token = TRACE.set(trace)
    try:
        assert add_trace(made) is True
    finally:
        TRACE.reset(token)

    line = as_json(made)
    names = ("trace_id", "trace_flags", "span_id")
    assert {name: line[name] for name in names if name in line} == shown


def test_a_line_outside_of_any_request_names_none() -> None:
    made = record()

    add_trace(made)

    assert {"trace_id", "trace_flags", "span_id"} & set(as_json(made)) == set()


class BlockedStream(io.StringIO):
    """A stream whose writes block until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.let_go.wait(20), "nobody let go of it"
        return super().write(text)


def handler_on(stream: io.StringIO) -> QueuedHandler:
    return QueuedHandler(stream, logging.Formatter("%(message)s"))


def test_lines_are_written_in_order_and_all_of_them_at_the_end() -> None:
    stream = io.StringIO()
    handler = handler_on(stream)

    for n in range(5000):
        handler.handle(record(str(n)))
    handler.close()

    assert stream.getvalue().split() == [str(n) for n in range(5000)]


def test_lines_of_many_threads_are_never_mixed() -> None:
    stream = io.StringIO()
    handler = handler_on(stream)

    def say(who: int) -> None:
        for n in range(300):
            handler.handle(record(f"{who}:{n}:" + "x" * 50))

    threads = [threading.Thread(target=say, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()

    lines = stream.getvalue().splitlines()
    assert sorted(lines) == sorted(f"{w}:{n}:" + "x" * 50 for w in range(8) for n in range(300))
    for who in range(8):
        mine = [line for line in lines if line.startswith(f"{who}:")]
        assert mine == [f"{who}:{n}:" + "x" * 50 for n in range(300)]


def test_what_there_is_no_room_for_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_QUEUED", 10)
    stream, dropped = BlockedStream(), []
    handler = handler_on(stream)
    handler.on_drop = lambda reason, lines: dropped.append((reason, lines))
    handler.handle(record("taken along"))
    assert stream.entered.wait(10)

    for n in range(25):
        handler.handle(record(str(n)))

    assert dropped == [("queue_full", 1)] * 15
    stream.let_go.set()
    until(lambda: stream.getvalue().count("\n") == 11, what="the lines")
    handler.handle(record("there is room again"))
    handler.close()
    assert stream.getvalue().splitlines() == [
        "taken along",
        *map(str, range(10)),
        "there is room again",
    ]


def test_a_stream_that_is_never_read_holds_the_end_up_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.05)
    stream = BlockedStream()
    handler = handler_on(stream)
    handler.handle(record())
    assert stream.entered.wait(10)

    closing = threading.Thread(target=handler.close)
    closing.start()
    closing.join(10)

    assert not closing.is_alive()
    stream.let_go.set()
    handler._writer.join(10)


def test_a_stream_that_was_closed_at_the_other_end_is_no_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", closefd=False) as stream:
        handler = QueuedHandler(stream, logging.Formatter("%(message)s"))
        for _ in range(10):
            handler.handle(record("x" * 100_000))
        handler.close()
    os.close(writing)

    assert not handler._writer.is_alive()


def test_a_line_that_cannot_be_made_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stream = io.StringIO()
    handler = handler_on(stream)
    bad = record("%d")
    bad.args = ("no number",)

    handler.handle(bad)
    handler.handle(record("the next"))
    handler.close()

    assert stream.getvalue() == "the next\n"
