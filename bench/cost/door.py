"""CPU time of a GET with tokens, and of one with limits, beside a GET with neither.

The header with the token is a part of what tokens cost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.frame.processes import Server, running
from bench.frame.program import Run, say
from bench.frame.rows import Row
from bench.testbed.operations import Operation, tallykv_operations
from bench.testbed.preload import preload_tallykv
from bench.testbed.servers import PATIENT, Collector, Redis, Service
from bench.testbed.turns import Turns
from bench.testbed.wrk import Load
from svc.door.tokens import MARK, digest_of

from . import limits
from .run_sizes import Sizes

TOKEN: Final = f"{MARK}_bench_{'0123456789abcdef' * 4}"
#: Never reached: what is measured is a request that is let in.
RATES: Final = "read=900000/s"
NEITHER: Final = "neither"
TWIN: Final = "neither, again"
#: What is measured beside a service with neither, and how much it may cost.
KINDS: Final = {"tokens": limits.TOKENS_RATIO, "limits": limits.LIMITS_RATIO}


def measure_door(run: Run[Sizes]) -> Iterator[Row]:
    """Measure what tokens and limits add to a GET."""
    load = Load(run.directory, run.load_cores)
    tokens = run.directory / "tokens"
    tokens.write_text(f"bench sha256:{digest_of(TOKEN).hex()} read,write keys=key-\n")
    settings = {
        NEITHER: {},
        "tokens": {"KV_TOKENS_FILE": str(tokens)},
        "limits": {"KV_RATE_LIMITS": RATES},
        TWIN: {},
    }
    get = tallykv_operations()[0]
    turns = Turns((NEITHER, TWIN))
    with (
        running(Redis(cores=run.load_cores)) as redis,
        running(Collector(run.load_cores)) as collector,
    ):
        for number in range(1, run.sizes.rounds + 1):
            with contextlib.ExitStack() as stack:
                subjects: dict[str, tuple[Server, Path]] = {}
                for kind, own in settings.items():
                    every = {**PATIENT, **collector.signals(), **own}
                    service = Service(redis.url, every, run.server_cores)
                    stack.enter_context(running(service))
                    if not turns.times and kind == NEITHER:
                        preload_tallykv(service.port)
                    operation = with_token(get) if kind == "tokens" else get
                    subjects[kind] = service, load.prepare(service, operation)
                turns.take(load, subjects)
            found = {kind: turns.ratios_by_round(kind, NEITHER)[-1] for kind in settings}
            say(f"round {number} of {run.sizes.rounds}: {found}")
    for kind, limit in KINDS.items():
        yield turns.ratio_row(f"{get.title}: with {kind} ÷ without", kind, NEITHER, limit)
    yield turns.noise_row(f"{get.title}, without")


def with_token(operation: Operation) -> Operation:
    """Return the operation as the holder of the token sends it."""
    header = f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    requests = tuple(header.join(request.split(b"\r\n\r\n", 1)) for request in operation.requests)
    return replace(operation, name=f"{operation.name}-token", requests=requests)
