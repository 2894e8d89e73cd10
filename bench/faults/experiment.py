"""One fault from beginning to end: traffic, blow, healing, and what became of the data."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.frame.report import say

from ..consistency.checker import Verdict, check
from ..consistency.client import Client
from ..consistency.settling import read_final
from ..consistency.workload import Workload
from .event_loop_lag import LagMeter, Witness
from .scenes import Fault, Ground

#: It has recovered when no request has failed for so long.
CALM_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Episode:
    """What a fault did."""

    fault: Fault
    verdict: Verdict
    #: From the end of the cause to the last failure before a calm second.
    recovery_seconds: float
    lag_p99_seconds: float
    #: What the machine itself is late by meanwhile.
    machine_p99_seconds: float


async def play(fault: Fault, ground: Ground) -> Episode:
    """Run it; raises BenchError, Unavailable, registers.Undecided."""
    loop = asyncio.get_running_loop()
    async with fault.scene(ground) as scene:
        client = Client([each.port for each in scene.services])
        workload = Workload(client, scene.crowd)
        meter, witness = LagMeter(scene.services), Witness()
        try:
            with witness.watching():
                async with meter.watching(), workload.running():
                    await asyncio.sleep(ground.before_seconds)
                    await scene.strike(workload)
                    healed = loop.time()
                    await asyncio.sleep(ground.after_seconds)
            final = await read_final(client, workload.history)
        finally:
            await client.close()
    verdict = check(workload.history, final)
    for reason in verdict.reasons[:5]:
        say(f"{fault.name}: {reason}")
    recovery = recovery_seconds(workload.history.moments, healed)
    return Episode(fault, verdict, recovery, meter.p99_seconds, witness.p99_seconds)


def recovery_seconds(moments: Sequence[tuple[float, bool]], healed: float) -> float:
    """Return how long after ``healed`` requests went on failing; infinite without a calm second.

    ``moments`` are when requests ended, and whether well.
    """
    ordered = sorted(moments)
    times = [when for when, _ in ordered]
    end = times[-1] if times else healed
    last = healed
    for when, is_well in ordered[bisect_right(times, healed) :]:
        if when - last >= CALM_SECONDS:
            break
        if not is_well:
            last = when
    return last - healed if end - last >= CALM_SECONDS else float("inf")
