"""Sampling: the caller decides where it sends a traceparent, else exactly the ratio is sampled."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.frame.errors import BenchError
from bench.frame.program import Run, say
from bench.frame.rows import Row, percentage
from bench.testbed.collector import ReceivedSpan, read_spans
from bench.testbed.http_client import exchange, exchange_all
from bench.testbed.operations import render_request
from bench.testbed.scrape import EXPORT_OFTEN, wait_until_exported
from bench.testbed.servers import Service, running_stack

from . import limits
from .run_sizes import Sizes

RATIO: Final = 0.01
#: For requests that prepare the measurement.
NOT_SAMPLED: Final = f"00-{'1' * 32}-{'1' * 16}-00"

#: Malformed headers. A request with one of them begins a new trace.
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
    "00-{uppercase}-{span}-01",
    "00_{trace}_{span}_01",
    "{trace}-{span}-01",
)


@dataclass
class Caller:
    """Requests of one kind, with a key of their own, and the parents that they named."""

    name: str
    count: int
    header: Callable[[str, str], str | None]
    #: The caller's span by trace id.
    parents: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/v1/kv/gate-{self.name}"

    def requests(self) -> Iterator[bytes]:
        rng = random.Random(self.name)
        for _ in range(self.count):
            trace, span = f"{rng.getrandbits(128):032x}", f"{rng.getrandbits(64):016x}"
            header = self.header(trace, span)
            if header is None:
                yield render_request("GET", self.path)
            else:
                self.parents[trace] = span
                yield render_request("GET", self.path, headers={"traceparent": header})


def measure_sampling(run: Run[Sizes]) -> Iterator[Row]:
    file = run.directory / "spans"
    callers = _callers(run.sizes)
    # No span may be dropped: the spans show how requests were sampled.
    settings = {**EXPORT_OFTEN, "OTEL_BSP_MAX_QUEUE_SIZE": "1000000"}
    with running_stack(run.server_cores, run.load_cores, file, **settings) as stack:
        for caller in callers:
            say(f"{caller.count:,} requests, traceparent {caller.name}")
            _send(stack.tallykv, caller)
        shown = wait_until_exported(stack.tallykv)
        if lost := shown.dropped_spans("queue_full") + shown.dropped_spans("export_failed"):
            raise BenchError(f"the service dropped {lost:.0f} spans")
    spans = read_spans(file)
    yield from _rows({caller.name: caller for caller in callers}, spans)


def _callers(sizes: Sizes) -> list[Caller]:
    rng = random.Random(4)

    def flags(text: str) -> Callable[[str, str], str]:
        return lambda trace, span: f"00-{trace}-{span}-{text}"

    def malformed(trace: str, span: str) -> str:
        return rng.choice(MALFORMED).format(
            trace=trace, span=span, zeros="0" * 16, uppercase="A" + trace[1:].upper()
        )

    return [
        *(Caller(text, sizes.decided, flags(text)) for text in ("00", "02", "01", "03")),
        Caller("none", sizes.undecided, lambda *_: None),
        Caller("malformed", sizes.undecided, malformed),
    ]


def _send(service: Service, caller: Caller) -> None:
    put = render_request("PUT", caller.path, b"x", {"traceparent": NOT_SAMPLED})
    status, body = exchange(service.port, put)
    if status != 201:
        raise BenchError(f"PUT {caller.path} was answered {status} {body[:300]!r}")
    answered = exchange_all(service.port, caller.requests())
    if answered != {200: caller.count}:
        raise BenchError(f"GET {caller.path} was answered {answered}")


def _rows(callers: Mapping[str, Caller], spans: list[ReceivedSpan]) -> Iterator[Row]:
    found: dict[str, list[ReceivedSpan]] = {caller.path: [] for caller in callers.values()}
    for span in spans:
        if span.is_server:
            found[span.path].append(span)
    for name in ("00", "02"):
        caller = callers[name]
        note = f"of {caller.count:,} requests"
        title = f"flags {name}: server spans"
        yield Row(title, len(found[caller.path]), "spans", limits.NONE, note)
    joined = exported = 0
    for name in ("01", "03"):
        caller = callers[name]
        own = found[caller.path]
        sampled = len({span.trace_id for span in own} & caller.parents.keys())
        yield percentage(f"flags {name}: sampled", sampled, caller.count, limits.ALL)
        exported += len(own)
        joined += sum(caller.parents.get(span.trace_id) == span.parent_id for span in own)
    for name in ("none", "malformed"):
        yield _ratio_row(callers[name], len(found[callers[name].path]))
    yield percentage("server spans with their caller as parent", joined, exported, limits.ALL)
    orphans = count_orphans(spans, {callers[name].path for name in ("01", "03")})
    yield Row("orphans", orphans, "spans", limits.NONE, f"of {len(spans):,} spans")


def _ratio_row(caller: Caller, sampled: int) -> Row:
    """Return the distance of the sampled ratio from RATIO, in percentage points."""
    percent = sampled / caller.count * 100
    return Row(
        f"traceparent {caller.name}: distance from {RATIO:.0%}",
        abs(percent - RATIO * 100),
        "points",
        limits.sampling_distance(RATIO, caller.count),
        f"{percent:.3f} % of {caller.count:,} sampled",
    )


def count_orphans(spans: list[ReceivedSpan], joining: set[str]) -> int:
    """Count spans without the server span of their request, and server spans of a wrong kind.

    Server spans of the paths ``joining`` must have a parent; all others must be roots.
    """
    known = {(span.trace_id, span.span_id) for span in spans}
    return sum(
        (not span.parent_id) == (span.path in joining)
        if span.is_server
        else (span.trace_id, span.parent_id) not in known
        for span in spans
    )
