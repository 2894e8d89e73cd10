"""``python -m bench.instructions``: instructions of a request beside those of a bare hello."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.cost import limits
from bench.cost.door import RATES, TOKEN, with_token
from bench.cost.peers.commands import HELLO
from bench.frame.errors import Unavailable
from bench.frame.processes import running
from bench.frame.program import Option, Program, Run, run, say
from bench.frame.rows import Limit, Row, at_most
from bench.testbed.operations import Operation, hello_operations, tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import Collector, Redis, Service
from svc.door.tokens import digest_of

from .counting import count, counted

OPERATIONS: Final = {each.name: each for each in tallykv_operations()}
GET: Final = OPERATIONS["get"]
#: Deadlines that fifty times slower code keeps, and no line for a request that seems slow. Spans
#: are made and queued, but not exported: a timer does that, so it would be fifty times too often.
SETTINGS: Final = {
    "KV_STORE_TIMEOUT_MS": "60000",
    "KV_SLOW_MS": "600000",
    "KV_HEADER_TIMEOUT_SECONDS": "60",
    "KV_BODY_TIMEOUT_SECONDS": "60",
    "OTEL_BSP_SCHEDULE_DELAY": "600000",
}
#: Of a GET here ÷ the same of another checkout.
BEFORE: Final = at_most(1.02)


@dataclass(frozen=True)
class Sizes:
    #: Requests on each connection that are counted.
    rounds: int = 16
    before: str | None = None


def _count(
    run: Run[Sizes], operation: Operation, *, root: str | None = None, **settings: str
) -> float:
    """Return the instructions of one of the API's operations, with all signals if not told else."""
    with running(Redis()) as redis, running(Collector()) as collector:
        with running(Service(redis.url, SETTINGS)) as quick:
            preload_tallykv(quick.port)
        service = Service(redis.url, {**SETTINGS, **collector.signals(), **settings})
        with counted(service, run.directory, root):
            rounds = run.sizes.rounds if operation.size == 1 else 1
            found = count(service, operation.requests, rounds, run.directory)
    say(f"  {operation.title}: {found / operation.size:,.0f} instructions")
    return found / operation.size


def _hello(run: Run[Sizes]) -> float:
    (operation,) = hello_operations()
    with (
        running(Redis()) as redis,
        counted(HELLO.server(redis, (), run.directory), run.directory) as hello,
    ):
        return count(hello, operation.requests, run.sizes.rounds, run.directory)


def measure_operations(run: Run[Sizes]) -> Iterator[Row]:
    """Count the instructions of each operation, beside those of a hello."""
    hello = _hello(run)
    yield Row("hello: GET /", 1, "hellos", None, f"{hello:,.0f} instructions")
    for operation in OPERATIONS.values():
        found = _count(run, operation)
        limit = limits.HELLOS.get(operation.name)
        note = f"{found:,.0f} instructions"
        yield Row(f"tallykv: {operation.title}", found / hello, "hellos", limit, note)


def measure_signals(run: Run[Sizes]) -> Iterator[Row]:
    """Count what the signals add to a GET."""
    on, off = _count(run, GET), _count(run, GET, KV_TELEMETRY="off", OTEL_TRACES_EXPORTER="none")
    yield _ratio("GET: all signals ÷ none", on, off, limits.SIGNALS_RATIO)


def measure_door(run: Run[Sizes]) -> Iterator[Row]:
    """Count what tokens add to a GET, and what rate limits add."""
    tokens = run.directory / "tokens"
    tokens.write_text(f"bench sha256:{digest_of(TOKEN).hex()} read,write keys=key-\n")
    neither = _count(run, GET)
    with_tokens = _count(run, with_token(GET), KV_TOKENS_FILE=str(tokens))
    yield _ratio("GET: tokens ÷ none", with_tokens, neither, limits.TOKENS_RATIO)
    with_limits = _count(run, GET, KV_RATE_LIMITS=RATES)
    yield _ratio("GET: limits ÷ none", with_limits, neither, limits.LIMITS_RATIO)


def measure_before(run: Run[Sizes]) -> Iterator[Row]:
    """Count each operation here, and in another checkout."""
    if run.sizes.before is None:
        raise Unavailable("--before names the other checkout")
    for operation in OPERATIONS.values():
        here, before = _count(run, operation), _count(run, operation, root=run.sizes.before)
        yield _ratio(f"{operation.title}: here ÷ before", here, before, BEFORE)


def _ratio(title: str, more: float, less: float, limit: Limit) -> Row:
    return Row(title, more / less, "times", limit, f"{more:,.0f} and {less:,.0f} instructions")


PROGRAM = Program(
    name="instructions",
    description="Count the instructions of requests, under valgrind.",
    parts={
        "operations": measure_operations,
        "signals": measure_signals,
        "door": measure_door,
        "before": measure_before,
    },
    sizes=Sizes(),
    quick=Sizes(rounds=4),
    options=(Option("before", str, "a checkout to compare with", metavar="CHECKOUT"),),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
