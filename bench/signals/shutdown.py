"""SIGTERM under 200 requests a second: no request fails, and no span is lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.consistency.client import Client
from bench.frame.errors import BenchError
from bench.frame.processes import running
from bench.frame.program import Run, say
from bench.frame.rows import Row, percentage
from bench.testbed.collector import read_spans
from bench.testbed.http_client import exchange
from bench.testbed.servers import PATIENT, READYZ, Collector, Redis, Service

from . import limits
from .run_sizes import Sizes

PER_SECOND: Final = 200
#: How often a mesh would probe a pod.
PROBE_SECONDS: Final = 0.5
#: Traffic to the other service after the end of the first.
AFTER_SECONDS: Final = 1.0
TIMEOUT_SECONDS: Final = 30.0
#: The drain of a deployment. It is the default.
DRAIN_SECONDS: Final = 5


@dataclass
class Traffic:
    """Requests in an open loop to ``client``, which may be replaced, and their outcomes."""

    client: Client
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    #: Traces of the successful requests.
    traces: set[str] = field(default_factory=set)

    async def send(self) -> None:
        """Increment a counter in a sampled trace. Note a failure; do not raise it."""
        trace_id = f"{random.getrandbits(128) | 1:032x}"
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        reply = await self.client.send("POST", "/v1/counters/s/increments", headers=headers)
        if reply.answer is None:
            self.failures.append(f"no answer, {reply.outcome}")
        elif reply.answer.status == 200:
            self.answered += 1
            self.traces.add(trace_id)
        else:
            self.failures.append(f"status {reply.answer.status}")

    async def send_forever(self) -> None:
        """Send at the fixed rate, however long answers take. When cancelled, wait for all."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with asyncio.TaskGroup() as group:
            pending: set[asyncio.Task[None]] = set()
            try:
                while True:
                    task = group.create_task(self.send())
                    pending.add(task)
                    task.add_done_callback(pending.discard)
                    due += 1 / PER_SECOND
                    await asyncio.sleep(max(0.0, due - loop.time()))
            except asyncio.CancelledError:
                if pending:
                    await asyncio.wait(pending)
                raise


def measure_shutdown(run: Run[Sizes]) -> Iterator[Row]:
    file = run.directory / "spans"
    with (
        running(Redis(cores=run.load_cores)) as redis,
        running(Collector(run.load_cores, file)) as otlp,
    ):
        settings = {**PATIENT, **otlp.signals(), "KV_DRAIN_SECONDS": str(DRAIN_SECONDS)}
        with (
            running(Service(redis.url, settings, run.server_cores)) as leaving,
            running(Service(redis.url, settings, run.server_cores)) as staying,
        ):
            traffic, seconds = asyncio.run(
                _replace(leaving, staying, run.sizes.before_stop_seconds)
            )
            staying.stop()
        delivered = {span.trace_id for span in read_spans(file) if span.is_server}
    if traffic.failures:
        say(f"first failures: {traffic.failures[:3]}")
    total = traffic.answered + len(traffic.failures)
    note = f"of {total:,} at {PER_SECOND} a second"
    yield Row("failed requests", len(traffic.failures), "requests", limits.NONE, note)
    found, expected = len(delivered & traffic.traces), len(traffic.traces)
    yield percentage("sampled server spans delivered", found, expected, limits.ALL)
    note = f"{DRAIN_SECONDS} of them are the drain"
    yield Row("from SIGTERM to the exit", seconds, "s", limits.EXIT_SECONDS, note)


async def _replace(
    leaving: Service, staying: Service, before_seconds: float
) -> tuple[Traffic, float]:
    """Stop one service, and send to the other one once the first is not ready.

    Return the traffic, and the seconds from SIGTERM to the exit.
    """
    first, second = Client([leaving.port]), Client([staying.port])
    traffic = Traffic(first)
    sending = asyncio.create_task(traffic.send_forever())
    try:
        await asyncio.sleep(before_seconds)
        leaving.send_signal(signal.SIGTERM)
        since = time.monotonic()
        while (await asyncio.to_thread(exchange, leaving.admin_port, READYZ))[0] == 200:
            if time.monotonic() - since > TIMEOUT_SECONDS:
                raise BenchError("/readyz still answers 200 after SIGTERM")
            await asyncio.sleep(PROBE_SECONDS)
        traffic.client = second
        while leaving.is_alive():
            if time.monotonic() - since > TIMEOUT_SECONDS:
                raise BenchError(f"it has not ended {TIMEOUT_SECONDS:.0f} s after SIGTERM")
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - since
        await asyncio.sleep(AFTER_SECONDS)
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        await first.close()
        await second.close()
    return traffic, seconds
