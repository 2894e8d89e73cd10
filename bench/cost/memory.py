"""What stays resident after many requests of every kind."""

from __future__ import annotations

from ..frame.processes import Cores
from ..frame.report import say
from ..testbed.operations import mixed_operation
from ..testbed.preload import preload_tallykv
from ..testbed.servers import all_signals, running_collector, running_redis, running_tallykv
from ..testbed.wrk import Load
from .options import Options


def measure_resident_mib(load: Load, options: Options, server: Cores, aside: Cores) -> float:
    """Return what a fresh service holds once it has answered ``options.requests``."""
    with (
        running_redis(aside) as redis,
        running_collector(aside) as collector,
        running_tallykv(
            f"redis://127.0.0.1:{redis.port}", server, **all_signals(collector)
        ) as tallykv,
    ):
        preload_tallykv(tallykv.port)
        requests = load.prepare(tallykv, mixed_operation())
        answered = 0
        say(f"{tallykv.process.resident_mib():.1f} MiB resident before the first of them")
        while answered < options.requests:
            answered += load.run(tallykv, requests, options.seconds).requests
            resident = tallykv.process.resident_mib()
            say(f"{resident:.1f} MiB resident after {answered:,} requests")
        return resident
