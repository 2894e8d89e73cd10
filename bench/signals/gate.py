"""The decision to sample: exactly the caller's, and else exactly the ratio."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Final

from bench.frame.limits import at_most
from bench.frame.processes import BenchError, Cores
from bench.frame.report import Row, say
from bench.testbed.servers import Server
from bench.testbed.spans import SeenSpan, read_spans

from ..testbed.http_client import ask_all
from . import limits
from .collecting import OFTEN, dropped, wait_until_exported
from .options import Options
from .rows import percent_row, row
from .services import running_observed

RATIO: Final = 0.01
#: A fair bound is what chance passes once in 16 000 runs; at 160 000 requests it is ±0.1 %.
SIGMAS: Final = 4.0

#: So that what prepares the measurement is not taken for a part of it.
NOT_SAMPLED: Final = f"00-{'1' * 32}-{'1' * 16}-00"

#: Headers that name no parent: the request begins a trace of its own.
MALFORMED: Final = (
    "",
    "00",
    "nonsense",
    "00-{trace}-{span}",
    "00-{trace}-{span}-1",
    "00-{trace}-{span}-001",
    "00-{trace}-{span}-01-more",
    "00-{trace}-{span}-0g",
    "ff-{trace}-{span}-01",
    "0-{trace}-{span}-01",
    "00-{zeros}{zeros}-{span}-01",
    "00-{trace}-{zeros}-01",
    "00-{trace}0-{span}-01",
    "00-{trace}-{span}0-01",
    "00-{shouted}-{span}-01",
    "00_{trace}_{span}_01",
    "{trace}-{span}-01",
)


@dataclass
class Caller:
    """Requests of one kind, under a key of their own; remembers the parents that it sent."""

    name: str
    count: int
    header: Callable[[str, str], str | None]
    #: Trace id to the span that asked.
    parents: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/v1/kv/gate-{self.name}"

    def requests(self) -> Iterator[bytes]:
        draw = random.Random(self.name)
        line = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        for _ in range(self.count):
            trace, span = f"{draw.getrandbits(128):032x}", f"{draw.getrandbits(64):016x}"
            header = self.header(trace, span)
            if header is None:
                yield f"{line}\r\n".encode()
            else:
                self.parents[trace] = span
                yield f"{line}traceparent: {header}\r\n\r\n".encode()


def measure_gate(options: Options, server: Cores, aside: Cores, directory: Path) -> list[Row]:
    file = directory / "gate.spans"
    callers = _callers(options)
    # A flood of sampled requests shall show how they were decided, not how many fit.
    settings = {**OFTEN, "OTEL_BSP_MAX_QUEUE_SIZE": "1000000"}
    with running_observed(server, aside, file, **settings) as observed:
        for caller in callers:
            say(f"gate: {caller.count:,} requests, traceparent {caller.name}")
            _ask(observed.service, caller)
        shown = wait_until_exported(observed.service)
        if lost := dropped(shown, "queue_full") + dropped(shown, "export_failed"):
            raise BenchError(f"the service lost {lost:.0f} spans on their way")
    spans = read_spans(file)
    say(f"gate: the collector has {len(spans):,} spans")
    return _rows({caller.name: caller for caller in callers}, spans)


def _callers(options: Options) -> list[Caller]:
    draw = random.Random(4)

    def flags(text: str) -> Callable[[str, str], str]:
        return lambda trace, span: f"00-{trace}-{span}-{text}"

    def malformed(trace: str, span: str) -> str:
        return draw.choice(MALFORMED).format(
            trace=trace, span=span, zeros="0" * 16, shouted="A" + trace[1:].upper()
        )

    return [
        *(Caller(text, options.decided, flags(text)) for text in ("00", "02", "01", "03")),
        Caller("none", options.undecided, lambda *_: None),
        Caller("malformed", options.undecided, malformed),
    ]


def _ask(service: Server, caller: Caller) -> None:
    entry = (
        f"PUT {caller.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n"
        f"traceparent: {NOT_SAMPLED}\r\n\r\nx"
    )
    written = ask_all(service.port, [entry.encode()])
    if set(written) != {201}:
        raise BenchError(f"PUT {caller.path} was answered {written}")
    answered = ask_all(service.port, caller.requests())
    if answered != {200: caller.count}:
        raise BenchError(f"GET {caller.path} was answered {answered}")


def _rows(callers: Mapping[str, Caller], spans: list[SeenSpan]) -> list[Row]:
    found: dict[str, list[SeenSpan]] = {caller.path: [] for caller in callers.values()}
    for span in spans:
        if span.is_server:
            found[span.path].append(span)
    rows = []
    for name in ("00", "02"):
        caller = callers[name]
        sampled = len(found[caller.path])
        title = f"gate: flags {name}: server spans of {caller.count:,} requests"
        rows.append(row(title, sampled, limits.NONE))
    joined = exported = 0
    for name in ("01", "03"):
        caller = callers[name]
        own = found[caller.path]
        sampled = len({span.trace_id for span in own} & caller.parents.keys())
        rows.append(percent_row(f"gate: flags {name}: sampled", sampled, caller.count, limits.ALL))
        exported += len(own)
        joined += sum(caller.parents.get(span.trace_id) == span.parent_id for span in own)
    rows += (_ratio_row(each, len(found[each.path])) for each in _undecided(callers))
    rows.append(
        percent_row("gate: server spans that join their callers", joined, exported, limits.ALL)
    )
    orphans = count_orphans(spans, {callers[name].path for name in ("01", "03")})
    rows.append(row("gate: orphans", orphans, limits.NONE, beside=f"of {len(spans):,} spans"))
    return rows


def _undecided(callers: Mapping[str, Caller]) -> list[Caller]:
    return [callers[name] for name in ("none", "malformed")]


def _ratio_row(caller: Caller, sampled: int) -> Row:
    """Hold the distance from the ratio to a bound, both in percentage points."""
    fair = SIGMAS * sqrt(RATIO * (1 - RATIO) / caller.count) * 100
    percent = sampled / caller.count * 100
    off = abs(percent - RATIO * 100)
    return row(
        f"gate: {caller.name}: off 1 % by, in percentage points",
        off,
        at_most(max(0.1, round(fair, 2))),
        shown=f"{off:.3f}",
        beside=f"{percent:.3f} % of {caller.count:,}",
    )


def count_orphans(spans: list[SeenSpan], joining: set[str]) -> int:
    """Count spans without their request's, and roots that should have been none."""
    known = {(span.trace_id, span.span_id) for span in spans}
    return sum(
        (not span.parent_id) == (span.path in joining)
        if span.is_server
        else (span.trace_id, span.parent_id) not in known
        for span in spans
    )
