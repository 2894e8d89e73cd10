"""Redis's name comes to mean another address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from ...consistency.workload import Workload
from ...testbed.restartable import Service, ending, running_redis
from ..network_proxy import running_network
from ..scenes import Fault, Ground, Scene, Unavailable

NAME: Final = "store.test"
OLD: Final = "127.0.0.1"
NEW: Final = "127.0.0.2"


@contextlib.asynccontextmanager
async def moved(ground: Ground) -> AsyncIterator[Scene]:
    hosts = ground.directory / "hosts"
    _point(hosts, OLD)
    await asyncio.to_thread(_check_namespaces, hosts)
    async with contextlib.AsyncExitStack() as stack:
        redis = await stack.enter_async_context(running_redis(ground.directory))
        old = await stack.enter_async_context(running_network(redis.port, OLD))
        await stack.enter_async_context(running_network(redis.port, NEW, old.port))
        service = Service(ground.directory, f"redis://{NAME}:{old.port}")
        # Its own view of one file: what the name means changes for nobody else.
        service.command = [*_inside(hosts), *service.command]
        stack.enter_context(ending(service))
        await service.start()

        async def strike(_: Workload) -> None:
            old.cut()
            await asyncio.sleep(ground.fault_seconds)
            _point(hosts, NEW)

        yield Scene([service], strike)


def _point(hosts: Path, address: str) -> None:
    # In place: it is this very file that the service sees.
    hosts.write_text(f"{address} {NAME}\n127.0.0.1 localhost\n")


def _inside(hosts: Path) -> list[str]:
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(hosts)]


def _check_namespaces(hosts: Path) -> None:
    """Raise Unavailable where a process may have no view of its own of the files."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        raise Unavailable("changing what a name means takes root and unshare(1)")
    tried = subprocess.run([*_inside(hosts), "true"], capture_output=True, check=False, timeout=10)
    if tried.returncode:
        raise Unavailable(f"no mount namespaces: {tried.stderr.decode().strip()}")


FAULTS: Final = (
    Fault(name="dns-change", title="network: Redis's name means another address", scene=moved),
)
