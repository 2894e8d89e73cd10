"""The service under test: in this process on free ports, or as a separate process."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from svc.app import build_admin_app, build_app
from svc.serving.listener import ListenerRunner, admin_runner
from svc.serving.server import BACKLOG
from svc.settings import Settings, env_name
from svc.stores.redis import RedisStore
from svc.stores.store_url import open_store
from tests.support.conformance import Conformance
from tests.support.ports import free_port, free_ports
from tests.support.waiting import PATIENT_SECONDS

ROOT: Final = Path(__file__).parents[2]
#: The settings where a test chooses none: what is answered is asked, not how soon. A request is not
#: refused because it waited for the store, and none is logged because it was slow.
PATIENT: Final = {"store_timeout_ms": 30_000, "slow_ms": 60_000}
#: Tests write any name into Host. tests/svc/door has those of the names that are refused.
ANY_HOST: Final = frozenset({"*"})
_DEFAULT: Final = Settings()


def patient(settings: Settings) -> Settings:
    """Return the settings with those of PATIENT instead of defaults."""
    changes: dict[str, Any] = {
        name: value
        for name, value in PATIENT.items()
        if getattr(settings, name) == getattr(_DEFAULT, name)
    }
    return dataclasses.replace(settings, **changes)


def with_any_host(settings: Settings) -> Settings:
    """Return the settings with any name allowed in Host, unless the test names some."""
    return dataclasses.replace(settings, hosts=settings.hosts or ANY_HOST)


@dataclass
class Service:
    """A running service and a client for it. Paths are sent exactly as given."""

    settings: Settings
    store: RedisStore
    app: web.Application
    client: aiohttp.ClientSession
    base: str
    admin_base: str

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def url(self, path: str) -> Any:
        from yarl import URL

        return URL(self.base + path, encoded=True)

    def request(self, method: str, path: str, **options: Any) -> Any:
        return self.client.request(method, self.url(path), **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> Any:
        return self.request("HEAD", path, **options)

    def put(self, path: str, **options: Any) -> Any:
        return self.request("PUT", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Any:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.request("DELETE", path, **options)


@contextlib.asynccontextmanager
async def running_service(settings: Settings, *, is_patient: bool = True) -> AsyncIterator[Service]:
    """Serve in this process, on free ports, until the block ends.

    Raise AssertionError at its end if the OpenAPI document did not allow one of the answers.
    """
    settings = with_any_host(patient(settings) if is_patient else settings)
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_store(
                settings.store_url,
                data_dir=settings.data_dir,
                timeout_seconds=settings.store_timeout_ms / 1000,
                operation_ttl_seconds=settings.idempotency_ttl,
            )
        )
        await store.serving()
        app = build_app(settings, store)
        conformance = Conformance()
        app.middlewares.insert(0, conformance.middleware())
        runner = ListenerRunner(
            app, settings, shutdown_seconds=1.0, max_connections=settings.max_connections
        )
        admin = admin_runner(build_admin_app(settings, app), settings)
        ports = []
        for each in (runner, admin):
            await each.setup()
            stack.push_async_callback(each.cleanup)
            await web.TCPSite(each, "127.0.0.1", 0, backlog=BACKLOG).start()
            ports.append(each.addresses[0][1])
        client = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=PATIENT_SECONDS),
            )
        )
        bases = [f"http://127.0.0.1:{port}" for port in ports]
        yield Service(settings, store, app, client, bases[0], bases[1])
        conformance.assert_none()


@dataclass
class ServiceProcess:
    """``python -m svc serve``, or another ``command``, as a separate process."""

    environ: dict[str, str]
    command: tuple[str, ...] = (sys.executable, "-m", "svc", "serve")
    directory: Path = ROOT
    port: int = field(default_factory=free_port)
    #: Of the first worker. The next ones have those that follow.
    admin_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.admin_port = self.admin_port or free_ports(int(self.environ.get("KV_WORKERS", "1")))

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_base(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, wait: bool = True) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("KV_")}
        self.process = subprocess.Popen(
            self.command,
            cwd=self.directory,
            env={
                **environ,
                "KV_HOSTS": "*",
                "KV_PORT": str(self.port),
                "KV_ADMIN_PORT": str(self.admin_port),
                # aiohttp reads the system's certificates when it is imported: a fifth of the start.
                "SSL_CERT_FILE": os.devnull,
                **{env_name(name): str(value) for name, value in PATIENT.items()},
                **self.environ,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        give_up = time.monotonic() + PATIENT_SECONDS
        while time.monotonic() < give_up:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended: {self.output()}")
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.admin_base}/readyz", timeout=1),  # noqa: S310
            ):
                return
            time.sleep(0.02)
        raise AssertionError("the service was not ready in time")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENT_SECONDS) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def output(self) -> str:
        """Return the output of a process that has ended."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=PATIENT_SECONDS)
        return (out + err).decode()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENT_SECONDS)
        if self.process is not None:
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()


@contextlib.contextmanager
def service_process(**environ: str) -> Any:
    """Run the service with these ``KV_*`` variables. Yield the started ServiceProcess."""
    service = ServiceProcess(environ)
    try:
        service.start()
        yield service
    finally:
        service.stop()
