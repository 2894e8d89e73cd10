"""The releases' pods as processes: started, probed, started again when they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import string
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from ..envoy.configuration import Address, PodPort
from .child_process import Child
from .loopback import free_addresses, url_of
from .pods import PodPlan
from .programs import RehearsalFailed
from .redis import DATABASES, PrivateRedis

START_SECONDS: Final = 30.0
_STARTING_POLL_SECONDS: Final = 0.02
_PROBE_SECONDS: Final = 0.25
_PROBE_TIMEOUT_SECONDS: Final = 2.0
#: As the manifests have it: one failed probe may be bad luck.
_FAILED_PROBES: Final = 2
_STOP_SECONDS: Final = 2.0
#: As a kubelet, only sooner: a rehearsal is short.
_FIRST_DELAY_SECONDS: Final = 0.5
_LONGEST_DELAY_SECONDS: Final = 10.0
#: Where ``python -m svc`` finds the service, if it is not installed.
_ROOT: Final = str(Path(__file__).parents[2])
_OURS: Final = ("KV_", "OTEL_")

Changed = Callable[[], Awaitable[None]]
Tell = Callable[[str], None]


class Pod:
    """One pod: a process at a time, always at the same addresses."""

    def __init__(self, plan: PodPlan, traffic: Address, admin: Address | None) -> None:
        self.plan = plan
        self.traffic = traffic
        self.admin = admin
        self.child: Child | None = None
        self.ready = False
        self.restarts = 0

    @property
    def name(self) -> str:
        return self.plan.name

    def addresses(self) -> Mapping[PodPort, Address]:
        """Return where its container's ports are on this machine."""
        plan = self.plan
        found = {PodPort(plan.namespace, plan.workload, plan.traffic_port): self.traffic}
        if self.admin is not None and plan.admin_port is not None:
            found[PodPort(plan.namespace, plan.workload, plan.admin_port)] = self.admin
        return found


class Releases:
    """All pods of a rehearsal; ``changed`` is awaited when one became ready or ceased to be."""

    def __init__(
        self,
        plans: Iterable[PodPlan],
        directory: Path,
        redis: PrivateRedis | None,
        client: aiohttp.ClientSession,
        tell: Tell,
    ) -> None:
        plans = tuple(plans)
        free = iter(free_addresses(2 * len(plans)))
        self.pods = tuple(
            Pod(plan, next(free), next(free) if plan.admin_port else None) for plan in plans
        )
        self._directory = directory
        self._redis = redis
        self._client = client
        self._tell = tell
        self._databases: dict[str, int] = {}
        self._keeping: list[asyncio.Task[None]] = []
        self.changed: Changed = _nothing

    def ready(self) -> Mapping[PodPort, tuple[Address, ...]]:
        """Return the addresses of the pods that are ready, for each of their ports."""
        found: dict[PodPort, tuple[Address, ...]] = {}
        for pod in self.pods:
            if pod.ready:
                for port, address in pod.addresses().items():
                    found[port] = (*found.get(port, ()), address)
        return found

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the pods, and end them with the block, which does not wait for them to be ready."""
        try:
            for pod in self.pods:
                await self._start(pod)
            yield
        finally:
            await _cancel(self._keeping)
            await asyncio.gather(*(pod.child.stop(_grace(pod)) for pod in self.pods if pod.child))

    async def wait_ready(self) -> None:
        """Return once all pods are ready, and look after them from now on.

        Raises RehearsalFailed with what a pod said that ended, or is not ready in time.
        """
        try:
            async with asyncio.TaskGroup() as waiting:
                for pod in self.pods:
                    waiting.create_task(self._wait_ready(pod))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        self._keeping += (asyncio.create_task(self._keep(pod)) for pod in self.pods)

    async def _start(self, pod: Pod) -> None:
        pod.child = await Child.start(
            pod.name,
            _command(pod),
            self._directory / f"{pod.name}.log",
            environ=self._environ(pod),
        )

    async def _wait_ready(self, pod: Pod) -> None:
        assert pod.child is not None  # noqa: S101 - started before
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._probe(pod):
                    if pod.child.exit_code is not None:
                        raise RehearsalFailed(
                            f"{pod.name} ended with code {pod.child.exit_code} before it was"
                            f" ready: {pod.child.said()}"
                        )
                    await asyncio.sleep(_STARTING_POLL_SECONDS)
        except TimeoutError:
            raise RehearsalFailed(
                f"{pod.name} is not ready after {START_SECONDS:g} s: {pod.child.said()}"
            ) from None
        pod.ready = True

    async def _keep(self, pod: Pod) -> None:
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY_SECONDS
        while True:
            assert pod.child is not None  # noqa: S101 - started before
            started = loop.time()
            watching = asyncio.create_task(self._watch(pod))
            try:
                code = await pod.child.wait()
            finally:
                await _cancel([watching])
            await self._set_ready(pod, ready=False)
            if loop.time() - started > _LONGEST_DELAY_SECONDS:
                delay = _FIRST_DELAY_SECONDS
            self._tell(f"{pod.name} ended with code {code}, to be started again in {delay:g} s")
            await pod.child.stop(0)  # what it left behind of its group
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)
            pod.restarts += 1
            try:
                await self._start(pod)
            except OSError as error:  # no room for a process or a file: it may come back
                self._tell(f"{pod.name} can't be started: {error.strerror}")

    async def _watch(self, pod: Pod) -> None:
        failed = 0
        while True:
            answered = await self._probe(pod)
            failed = 0 if answered else failed + 1
            if answered or failed >= _FAILED_PROBES:
                await self._set_ready(pod, ready=answered)
            await asyncio.sleep(_PROBE_SECONDS)

    async def _set_ready(self, pod: Pod, *, ready: bool) -> None:
        if pod.ready == ready:
            return
        pod.ready = ready
        await self.changed()
        self._tell(f"{pod.name} is ready" if ready else f"{pod.name} is not ready any more")

    async def _probe(self, pod: Pod) -> bool:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                if pod.admin is None:
                    _, writer = await asyncio.open_connection(*pod.traffic)
                    writer.close()
                    return True
                async with self._client.get(f"{url_of(pod.admin)}/readyz") as response:
                    return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    def _environ(self, pod: Pod) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(_OURS)
        }
        environ = {**inherited, **pod.plan.environ, "PORT": str(pod.traffic.port)}
        if pod.plan.command is not None:
            return environ
        path = os.environ.get("PYTHONPATH")
        environ |= {
            "KV_HOST": pod.traffic.host,
            "KV_PORT": str(pod.traffic.port),
            "PYTHONPATH": os.pathsep.join([_ROOT, path] if path else [_ROOT]),
        }
        if pod.admin is not None:
            environ["KV_ADMIN_PORT"] = str(pod.admin.port)
        if pod.plan.store is not None and self._redis is not None:
            environ["KV_STORE_URL"] = self._redis.url(self._database(pod.plan.store))
        return environ

    def _database(self, store: str) -> int:
        return self._databases.setdefault(store, len(self._databases) % DATABASES)


def _grace(pod: Pod) -> float:
    """Return how long a pod may take to end, in seconds."""
    # No request is under way any more, and tallykv has nothing that is not in the Redis, which
    # goes with it. Nobody knows what another service would leave behind.
    return 0.0 if pod.plan.command is None else _STOP_SECONDS


def _command(pod: Pod) -> list[str]:
    if pod.plan.command is None:
        return [sys.executable, "-m", "svc", "serve"]
    port = {"PORT": str(pod.traffic.port)}
    return [string.Template(word).safe_substitute(port) for word in pod.plan.command]


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _nothing() -> None:
    pass
