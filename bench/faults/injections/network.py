"""Faults of the network between the service and Redis, and of the name of Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from bench.consistency.workload import Workload
from bench.frame.errors import Unavailable
from bench.frame.processes import running
from bench.frame.program import Run
from bench.testbed.servers import Service

from ..experiment import Fault, Setup, Sizes, Target
from ..network_proxy import NetworkProxy, running_proxy
from .setups import System, behind_proxy, redis_for_faults

DELAY_SECONDS: Final = 0.1
LOSS_RATIO: Final = 0.05

NAME: Final = "store.test"
OLD_ADDRESS: Final = "127.0.0.1"
NEW_ADDRESS: Final = "127.0.0.2"


def through_fault(change: Callable[[NetworkProxy], None]) -> Setup:
    """Return a setup whose proxy is changed for the time of the fault."""

    async def inject(proxy: NetworkProxy, system: System, _: Workload) -> None:
        change(proxy)
        await asyncio.sleep(system.sizes.fault_seconds)

    return behind_proxy(inject)


def delay(proxy: NetworkProxy) -> None:
    proxy.delay_seconds = DELAY_SECONDS


def lose(proxy: NetworkProxy) -> None:
    proxy.loss_ratio = LOSS_RATIO


def drop_all(proxy: NetworkProxy) -> None:
    proxy.drops_all = True


@contextlib.asynccontextmanager
async def dns_change(run: Run[Sizes]) -> AsyncIterator[Target]:
    """Run a service that reaches Redis by a name, whose address changes."""
    hosts = run.directory / "hosts"
    _write_hosts(hosts, OLD_ADDRESS)
    await asyncio.to_thread(_check_namespaces, hosts)
    async with contextlib.AsyncExitStack() as stack:
        redis = stack.enter_context(running(redis_for_faults(run.directory)))
        old = await stack.enter_async_context(running_proxy(redis.port, OLD_ADDRESS))
        await stack.enter_async_context(running_proxy(redis.port, NEW_ADDRESS, old.port))
        service = Service(f"redis://{NAME}:{old.port}")
        # The service alone sees this file as /etc/hosts.
        service.command = [*_with_hosts(hosts), *service.command]
        stack.callback(service.stop)
        await asyncio.to_thread(service.start_ready)

        async def inject(_: Workload) -> None:
            old.cut()
            await asyncio.sleep(run.sizes.fault_seconds)
            _write_hosts(hosts, NEW_ADDRESS)

        yield Target([service], inject)


def _write_hosts(hosts: Path, address: str) -> None:
    # The mount refers to this file, which must not be replaced by another.
    hosts.write_text(f"{address} {NAME}\n127.0.0.1 localhost\n")


def _with_hosts(hosts: Path) -> list[str]:
    """Return a command prefix that mounts ``hosts`` as /etc/hosts."""
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(hosts)]


def _check_namespaces(hosts: Path) -> None:
    """Raise Unavailable where processes cannot have mount namespaces."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        raise Unavailable("changing the address of a name takes root and unshare(1)")
    tried = subprocess.run(
        [*_with_hosts(hosts), "true"], capture_output=True, check=False, timeout=10
    )
    if tried.returncode:
        raise Unavailable(f"no mount namespaces: {tried.stderr.decode().strip()}")


FAULTS: Final = (
    Fault("network-cut", "network: cut, resets", through_fault(NetworkProxy.cut)),
    Fault("network-silent", "network: all bytes vanish", through_fault(drop_all)),
    Fault(
        "network-half-open",
        "network: connections half open",
        through_fault(NetworkProxy.leave_half_open),
    ),
    Fault("network-delay", "network: 100 ms each way", through_fault(delay)),
    Fault("network-loss", "network: 5 % lost", through_fault(lose)),
    Fault("dns-change", "network: Redis's name gets another address", dns_change),
)
