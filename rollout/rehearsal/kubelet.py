"""What a kubelet does for the rehearsal: runs pods as processes, probes and restarts them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import string
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from ..envoy.configuration import Address, PodPort
from .child_process import Child
from .executables import find_tallykv
from .loopback import free_addresses, url_of
from .pod_specs import PodSpec
from .redis_process import DATABASES, PrivateRedis
from .stubs import STUB

START_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 0.25
_PROBE_TIMEOUT_SECONDS: Final = 2.0
#: The failureThreshold of the manifests' readinessProbe: one failed probe may be an accident.
_FAILURE_THRESHOLD: Final = 2
_STOP_SECONDS: Final = 2.0
#: The restart back-off doubles as a kubelet's does, but is shorter, because a rehearsal is short.
_FIRST_BACKOFF_SECONDS: Final = 0.5
_MAX_BACKOFF_SECONDS: Final = 10.0
_STUB_COMMAND: Final = (sys.executable, "-I", str(Path(__file__).with_name("stub_service.py")))
#: Variables of our own settings. Pods take them from the manifests, never from this process.
_NOT_INHERITED: Final = ("KV_", "OTEL_")


class Pod:
    """One pod: a process, which after a restart listens at the same addresses.

    ``admin`` is the address of tallykv's admin port, None for another service.
    """

    def __init__(self, spec: PodSpec, traffic: Address, admin: Address | None) -> None:
        self.spec = spec
        self.traffic = traffic
        self.admin = admin
        self.child: Child | None = None
        self.ready = False
        self.restarts = 0

    @property
    def name(self) -> str:
        return self.spec.name

    def addresses(self) -> Mapping[PodPort, Address]:
        """Return the local address of each port of its container."""
        spec = self.spec
        found = {
            PodPort(spec.namespace, spec.workload, port): self.traffic
            for port in (spec.traffic_port, *spec.other_ports)
        }
        if self.admin is not None and spec.admin_port is not None:
            found[PodPort(spec.namespace, spec.workload, spec.admin_port)] = self.admin
        return found


class Kubelet:
    """Runs all pods of a rehearsal.

    ``readiness_changed`` is awaited after a pod became ready or stopped being ready.
    """

    def __init__(
        self,
        specs: Iterable[PodSpec],
        directory: Path,
        redis: PrivateRedis | None,
        client: aiohttp.ClientSession,
        record_event: Callable[[str], None],
    ) -> None:
        """Choose addresses for the pods; raise ProgramMissing if tallykv is needed and missing."""
        specs = tuple(specs)
        self._tallykv = find_tallykv() if any(each.command is None for each in specs) else None
        free = iter(free_addresses(2 * len(specs)))
        self.pods = tuple(
            Pod(spec, next(free), next(free) if spec.admin_port else None) for spec in specs
        )
        self._directory = directory
        self._redis = redis
        self._client = client
        self._record_event = record_event
        self._databases: dict[str, int] = {}
        self._supervisors: list[asyncio.Task[None]] = []
        self.readiness_changed: Callable[[], Awaitable[None]] = _nothing

    def ready(self) -> Mapping[PodPort, tuple[Address, ...]]:
        """Return the addresses of the ready pods, by container port."""
        found: dict[PodPort, tuple[Address, ...]] = {}
        for pod in self.pods:
            if pod.ready:
                for port, address in pod.addresses().items():
                    found[port] = (*found.get(port, ()), address)
        return found

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the pods without waiting until they are ready; stop them when the block ends."""
        try:
            for pod in self.pods:
                await self._start(pod)
            yield
        finally:
            await _cancel(self._supervisors)
            await asyncio.gather(
                *(pod.child.stop(_grace_seconds(pod)) for pod in self.pods if pod.child)
            )

    async def wait_ready(self) -> None:
        """Wait until all pods are ready. From then on, probe them, and restart those that end.

        Raise RehearsalFailed, with the end of its log, for a pod that ends or is not ready in time.
        """
        try:
            async with asyncio.TaskGroup() as waiting:
                for pod in self.pods:
                    waiting.create_task(self._wait_ready(pod))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        self._supervisors += (asyncio.create_task(self._supervise(pod)) for pod in self.pods)

    async def _start(self, pod: Pod) -> None:
        pod.child = await Child.start(
            pod.name,
            self._command(pod),
            self._directory / f"{pod.name}.log",
            environ=self._environ(pod),
        )

    async def _wait_ready(self, pod: Pod) -> None:
        assert pod.child is not None  # noqa: S101 - started before
        await pod.child.wait_ready(partial(self._probe, pod), START_SECONDS)
        pod.ready = True

    async def _supervise(self, pod: Pod) -> None:
        """Probe the pod while it runs, and restart it whenever it ends."""
        loop = asyncio.get_running_loop()
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            assert pod.child is not None  # noqa: S101 - started before
            started = loop.time()
            probing = asyncio.create_task(self._probe_readiness(pod))
            try:
                code = await pod.child.wait()
            finally:
                await _cancel([probing])
            await self._set_ready(pod, ready=False)
            if loop.time() - started > _MAX_BACKOFF_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            self._record_event(f"{pod.name} ended with code {code}; restart in {backoff:g} s")
            await pod.child.stop(0)  # other processes of its group may still run
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)
            pod.restarts += 1
            try:
                await self._start(pod)
            except OSError as error:  # out of processes or files, perhaps for a short time
                self._record_event(f"{pod.name} can't be started: {error.strerror}")

    async def _probe_readiness(self, pod: Pod) -> None:
        failures = 0
        while True:
            succeeded = await self._probe(pod)
            failures = 0 if succeeded else failures + 1
            if succeeded or failures >= _FAILURE_THRESHOLD:
                await self._set_ready(pod, ready=succeeded)
            await asyncio.sleep(_PROBE_SECONDS)

    async def _set_ready(self, pod: Pod, *, ready: bool) -> None:
        if pod.ready == ready:
            return
        pod.ready = ready
        await self.readiness_changed()
        self._record_event(f"{pod.name} is {'ready' if ready else 'not ready'}")

    async def _probe(self, pod: Pod) -> bool:
        """Return True if ``/readyz`` returns 200; without an admin port, if the pod accepts TCP."""
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

    def _command(self, pod: Pod) -> Sequence[str]:
        """Return the pod's command; ``$PORT`` in it becomes the port to listen on."""
        if pod.spec.command is STUB:
            return _STUB_COMMAND
        if pod.spec.command is not None:
            port = {"PORT": str(pod.traffic.port)}
            return [string.Template(word).safe_substitute(port) for word in pod.spec.command]
        assert self._tallykv is not None  # noqa: S101 - found before
        return self._tallykv.command

    def _environ(self, pod: Pod) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)
        }
        environ = {**inherited, **pod.spec.environ, "PORT": str(pod.traffic.port)}
        if pod.spec.command is not None or self._tallykv is None:
            return environ
        environ |= {
            **self._tallykv.environ,
            "KV_HOST": pod.traffic.host,
            "KV_PORT": str(pod.traffic.port),
            # The proxy passes on the Host of its clients, which is the manifests' business.
            "KV_HOSTS": "*",
        }
        if pod.admin is not None:
            environ["KV_ADMIN_PORT"] = str(pod.admin.port)
        if pod.spec.store is not None and self._redis is not None:
            environ["KV_STORE_URL"] = self._redis.url(self._database(pod.spec.store))
        return environ

    def _database(self, store: str) -> int:
        return self._databases.setdefault(store, len(self._databases) % DATABASES)


def _grace_seconds(pod: Pod) -> float:
    # At the end no request is in flight, and tallykv keeps all data in Redis, which ends too. So
    # tallykv needs no time. Another service may have something to clean up.
    return 0.0 if pod.spec.command is None else _STOP_SECONDS


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _nothing() -> None:
    pass
