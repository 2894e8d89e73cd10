"""A service with several workers: its processes, its clients, and counted traffic."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.plain_http import fetch
from tests.support.ports import free_ports
from tests.support.processes import children_of, name_of
from tests.support.services import ServiceProcess
from tests.support.waiting import PATIENT_SECONDS, eventually


class WorkerService(ServiceProcess):
    """``python -m svc serve --workers N``."""

    @property
    def admin_bases(self) -> list[str]:
        count = int(self.environ["KV_WORKERS"])
        return [f"http://127.0.0.1:{self.admin_port + n}" for n in range(count)]

    def workers(self) -> list[int]:
        """Return the workers' pids."""
        return [pid for pid in children_of(self.pid) if is_worker(pid)]

    def readiness(self) -> list[int]:
        """Return the status of each worker's /readyz; 0 for one that does not answer."""
        return [_status(f"{base}/readyz") for base in self.admin_bases]

    async def all_ready(self) -> None:
        ready = [200] * int(self.environ["KV_WORKERS"])

        async def look() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"the service ended: {self.output()}"
            return await self._reads(ready)

        await eventually(look, what="all workers ready")

    async def none_ready(self) -> None:
        refused = [503] * int(self.environ["KV_WORKERS"])
        await eventually(lambda: self._reads(refused), what="no worker ready")

    async def _reads(self, wanted: list[int]) -> bool:
        return await asyncio.to_thread(self.readiness) == wanted


@contextlib.asynccontextmanager
async def running_workers(workers: int = 2, **environ: str) -> AsyncIterator[WorkerService]:
    """Run the service with all workers ready, without blocking this event loop."""
    service = WorkerService({"KV_WORKERS": str(workers), **environ}, admin_port=free_ports(workers))
    try:
        service.start(wait=False)
        await service.all_ready()
        yield service
    finally:
        await asyncio.to_thread(service.stop)


def is_worker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"\0worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def redis_servers_among(pids: list[int]) -> list[int]:
    return [pid for pid in pids if name_of(pid).startswith(("redis-server", "valkey-server"))]


def clients_of(pid: int, port: int) -> set[int]:
    """Return the ports of the loopback clients that are connected to ``port`` of a process."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(str(link.readlink()))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
        if f"socket:[{inode}]" in held and state == "01" and int(local[-4:], 16) == port:
            found.add(int(remote[-4:], 16))
    return found


class IncrementingClients:
    """Clients that repeatedly increment a counter by one, each on its own connection."""

    def __init__(self, base: str, counter: str, *, retries: bool = False) -> None:
        self.acknowledged = 0
        #: The status and body, or the exception, of each other request.
        self.failures: list[str] = []
        self.broken_connections = 0
        self._url = f"{base}/v1/counters/{counter}/increments"
        self._retries = retries
        self._stopped = asyncio.Event()

    @contextlib.asynccontextmanager
    async def sending(self, clients: int) -> AsyncIterator[IncrementingClients]:
        """Send until the block ends or ``stop`` is called."""
        timeout = aiohttp.ClientTimeout(total=PATIENT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for number in range(clients):
                group.create_task(self._walk(session, number))
            try:
                yield self
            finally:
                self.stop()

    def stop(self) -> None:
        self._stopped.set()

    async def more(self, count: int) -> None:
        """Wait for this many more acknowledged increments."""
        wanted = self.acknowledged + count
        await eventually(lambda: self.acknowledged >= wanted, what="further steps")

    async def _walk(self, session: aiohttp.ClientSession, number: int) -> None:
        step = 0
        while not self._stopped.is_set():
            step += 1
            # With the header, an increment without a response can be repeated, and counts once.
            headers = {"Idempotency-Key": f'"{number}-{step}"'} if self._retries else {}
            while not await self._send(session, headers) and self._retries:
                pass

    async def _send(self, session: aiohttp.ClientSession, headers: dict[str, Any]) -> bool:
        try:
            async with session.post(self._url, headers=headers) as answer:
                words = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.broken_connections += 1
            if not self._retries:
                self.failures.append(repr(error))
            await asyncio.sleep(0.01)  # a refused connection fails immediately
            return False
        if answer.status == 200:
            self.acknowledged += 1
        else:
            self.failures.append(f"{answer.status} {words}")
        return True


def _status(url: str) -> int:
    try:
        return fetch(url).status
    except OSError:
        return 0
