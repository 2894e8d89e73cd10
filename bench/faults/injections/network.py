"""The network between the service and Redis misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from ...consistency.workload import Workload
from ...testbed.restartable import running_redis, running_services
from ..network_proxy import Network, running_network
from ..scenes import Fault, Ground, Scene

DELAY_SECONDS: Final = 0.1
LOSS_RATIO: Final = 0.05

Deed = Callable[[Network], None]


@contextlib.asynccontextmanager
async def struck(ground: Ground, *, deed: Deed) -> AsyncIterator[Scene]:
    async with (
        running_redis(ground.directory) as redis,
        running_network(redis.port) as network,
        running_services(ground.directory, f"redis://127.0.0.1:{network.port}") as services,
    ):

        async def strike(_: Workload) -> None:
            deed(network)
            await asyncio.sleep(ground.fault_seconds)
            network.mend()

        yield Scene(services, strike)


def delay(network: Network) -> None:
    network.delay_seconds = DELAY_SECONDS


def lose(network: Network) -> None:
    network.loss_ratio = LOSS_RATIO


def silence(network: Network) -> None:
    network.is_silent = True


FAULTS: Final = (
    Fault(
        name="network-cut", title="network: cut, resets", scene=partial(struck, deed=Network.cut)
    ),
    Fault(
        name="network-silent",
        title="network: all bytes vanish",
        scene=partial(struck, deed=silence),
    ),
    Fault(
        name="network-half-open",
        title="network: connections half open",
        scene=partial(struck, deed=Network.forget_connections),
    ),
    Fault(
        name="network-delay",
        title="network: 100 ms each way",
        scene=partial(struck, deed=delay),
    ),
    Fault(name="network-loss", title="network: 5 % lost", scene=partial(struck, deed=lose)),
)
