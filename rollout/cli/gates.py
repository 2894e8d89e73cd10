"""Opens the gates of a plan: what each is asked with."""

from __future__ import annotations

import contextlib
import os
import string
import time
from collections.abc import AsyncIterator

import aiohttp

from ..plan.gate_spec import GateSpec
from ..plan.model import Plan
from ..prometheus.counter_pair import build_pair_promql
from ..prometheus.gates import compare_gate, counter_pair, threshold_gate
from ..prometheus.source import PrometheusServer, PrometheusSource, open_source
from ..runner.command_gate import command_gate
from ..runner.gates import AskGate, Gates
from ..runner.http_gate import http_gate
from .exit_codes import UsageError


@contextlib.asynccontextmanager
async def open_gates(
    plan: Plan, server: PrometheusServer, source: PrometheusSource
) -> AsyncIterator[Gates | None]:
    """Yield the gates until the block ends, None if the plan has none."""
    if not plan.gates:
        yield None
        return
    async with contextlib.AsyncExitStack() as stack:
        # Each gate has a timeout of its own.
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        )

        async def asking(spec: GateSpec) -> AskGate:
            if spec.http is not None:
                headers = {name: expand(each) for name, each in spec.http.headers.items()}
                return http_gate(session, spec.http.model_copy(update={"headers": headers}))
            if spec.command is not None:
                return command_gate(spec.command)
            if spec.prometheus is not None:
                return threshold_gate(source, spec.prometheus)
            assert spec.compare is not None  # noqa: S101 - one of the four is there
            pair = counter_pair(spec.compare)
            reading = open_source(server, pair.query, build_pair_promql(pair))
            return compare_gate(await stack.enter_async_context(reading), spec.compare)

        gates = Gates(plan, [(each, await asking(each)) for each in plan.gates], time.monotonic)
        try:
            yield gates
        finally:
            await gates.close()


def expand(text: str) -> str:
    """Return a text of the plan with ``${NAME}`` of the environment, for what is secret.

    Raise UsageError if a variable is not set.
    """
    try:
        return string.Template(text).substitute(os.environ)
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"the plan names an environment variable that is not set: {error}; set it, or write $$"
            " for a dollar"
        ) from None
