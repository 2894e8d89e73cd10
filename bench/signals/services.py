"""A service with all of its signals on, and what it needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.frame.processes import Cores
from bench.testbed.servers import (
    Server,
    all_signals,
    running_collector,
    running_redis,
    running_tallykv,
)


@dataclass(frozen=True)
class Observed:
    service: Server
    redis: Server
    collector: Server


@contextlib.contextmanager
def running_observed(
    server: Cores, aside: Cores, spans: Path | None = None, **settings: str
) -> Iterator[Observed]:
    """Run it on ``server``, Redis and the collector on ``aside``."""
    with running_redis(aside) as redis, running_collector(aside, spans) as collector:
        settings = {**all_signals(collector), **settings}
        with running_tallykv(f"redis://127.0.0.1:{redis.port}", server, **settings) as service:
            yield Observed(service, redis, collector)
