"""A cluster to break: an API server, a Prometheus, and a service with a canary and clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from tests.rollout.cli.example_service import ExampleService, step
from tests.rollout.cluster.virtual_services import COLLECTION, live
from tests.rollout.faults.prometheus import SimulatedPrometheus
from tests.support.api_faults import Stage
from tests.support.api_server import ApiServer, serving
from tests.support.waiting import until

Answer = TypeVar("Answer")

NAMESPACE: Final = "shop"
ROUTES: Final = (COLLECTION, NAMESPACE, "kv")
STATE: Final = ("/v1/configmaps", NAMESPACE, "tallykv-rollout-kv")
LEASE: Final = ("coordination.k8s.io/v1/leases", NAMESPACE, "tallykv-rollout-kv")
#: The error ratio of a bad canary.
BAD: Final = 1.0
_TICK_SECONDS: Final = 0.02
_RATE: Final = 400.0
#: For the end of a rollout, on a busy machine.
PATIENT_SECONDS: Final = 240.0


@dataclass
class World:
    """``exposed_seconds``: how long a failing canary has had requests, all in all."""

    directory: Path
    server: ApiServer = field(default_factory=ApiServer)
    exposed_seconds: float = 0.0
    prometheus_port: int = 0
    #: Puts further objects into a cluster that is as at first.
    furnish: Callable[[], None] = lambda: None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self.server.put(COLLECTION, live(step(NAMESPACE, 0)))
        self.service = ExampleService(NAMESPACE, self.server, rate=_RATE)
        self.prometheus = SimulatedPrometheus(self.service)

    @property
    def share(self) -> int | None:
        """The canary's percentage, None without routes."""
        with contextlib.suppress(KeyError):
            return self.service.share
        return None

    def reset(self) -> None:
        """Make everything as at first."""

        async def anew() -> None:
            server = self.server
            server.objects.clear()
            server.faults, server.before_write, server.after_write = None, None, None
            server.latency_seconds, server.skew_seconds = 0.0, 0.0
            server.put(COLLECTION, live(step(NAMESPACE, 0)))
            self.service.errors.clear()
            self.service.history[:] = [0]
            self.prometheus = SimulatedPrometheus(self.service)
            self.exposed_seconds = 0.0
            self.furnish()

        self.call(anew())

    def break_canary(self) -> None:
        self.service.errors["canary"] = BAD

    def call(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine in the loop of the servers."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENT_SECONDS)

    def edit_routes(self, change: Callable[[dict[str, Any]], Any]) -> None:
        async def edit() -> None:
            self.server.edit(*ROUTES, change)

        self.call(edit())

    def stop_api(self) -> None:
        self.call(self.server.close_port())

    def start_api(self, *stages: tuple[Stage, float]) -> None:
        """Open the port, and stay in each stage for its seconds."""

        async def start() -> None:
            for stage, seconds in stages:
                self.server.stage = stage
                if self.server.is_closed:
                    await self.server.open_port()
                await asyncio.sleep(seconds)
            self.server.stage = Stage.READY
            if self.server.is_closed:
                await self.server.open_port()

        self.call(start())

    def wait_for_share(self, share: int) -> None:
        """Wait until the canary has had a percentage: the runner does not wait for the test."""
        until(lambda: share in self.service.history, seconds=PATIENT_SECONDS, what=f"{share} %")

    def state(self) -> dict[str, Any]:
        """Return the state in the cluster, empty without one."""
        text = self.server.objects.get(STATE, {}).get("data", {}).get("state.json")
        found: dict[str, Any] = {} if text is None else json.loads(text)["state"]
        return found

    def events(self) -> list[dict[str, Any]]:
        text = self.server.objects.get(STATE, {}).get("data", {}).get("events.jsonl", "")
        return [json.loads(line) for line in text.splitlines()]

    async def _send_requests(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            if self.share is not None:
                self.service.serve(now - before)
                if self.share and self.service.errors.get("canary"):
                    self.exposed_seconds += now - before
                self.prometheus.note()
            before = now

    async def _ask_prometheus(self, request: web.Request) -> web.StreamResponse:
        return await self.prometheus.handle(request)

    async def _serve(self, up: threading.Event, stop: asyncio.Event) -> None:
        app = web.Application()
        app.router.add_post("/api/v1/{endpoint}", self._ask_prometheus)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.prometheus_port = runner.addresses[0][1]
        sending = asyncio.create_task(self._send_requests())
        try:
            async with serving(self.server):
                up.set()
                await stop.wait()
        finally:
            sending.cancel()
            await runner.cleanup()


@contextlib.contextmanager
def running_world(directory: Path) -> Iterator[World]:
    """Run a cluster in a thread until the block ends."""
    world = World(directory)
    up, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=world.loop.run_until_complete, args=(world._serve(up, stop),), name="cluster"
    )
    thread.start()
    try:
        assert up.wait(60), "the cluster did not start"
        yield world
    finally:
        world.loop.call_soon_threadsafe(stop.set)
        thread.join()
        world.loop.close()
