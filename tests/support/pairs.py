"""A stable and a canary release side by side over one Redis, as pods for service discovery."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.pod_monitor import Pod
from tests.support.services import ServiceProcess

VERSIONS: Final = {"stable": "1.0.0", "canary": "1.1.0"}


class ReadService(ServiceProcess):
    """A service process whose output is read continuously, because a full pipe would block it."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(environ)
        self._readers: list[threading.Thread] = []
        self._said: deque[bytes] = deque(maxlen=100)

    def start(self, *, wait: bool = True) -> None:
        super().start(wait=False)
        assert self.process is not None
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            # A duplicate descriptor, so that closing the stream elsewhere has no effect here.
            reader = threading.Thread(target=self._read, args=(os.dup(stream.fileno()),))
            reader.start()
            self._readers.append(reader)
        if wait:
            self.wait_ready()

    def stop(self) -> None:
        super().stop()
        while self._readers:
            self._readers.pop().join()

    def output(self) -> str:
        """Return the last of its output."""
        return b"".join(self._said).decode(errors="replace")

    def _read(self, descriptor: int) -> None:
        try:
            while chunk := os.read(descriptor, 65536):
                self._said.append(chunk)
        finally:
            os.close(descriptor)


@dataclass
class Release:
    """One process, and its pod."""

    track: str
    service: ServiceProcess
    pod_name: str

    @property
    def version(self) -> str:
        return VERSIONS[self.track]

    @property
    def pod(self) -> Pod:
        return Pod(
            self.pod_name,
            labels={
                "app.kubernetes.io/name": "kv",
                "app.kubernetes.io/version": self.version,
                "track": self.track,
            },
            ports={
                "http": f"127.0.0.1:{self.service.port}",
                "admin": f"127.0.0.1:{self.service.admin_port}",
            },
        )


@contextlib.contextmanager
def running_release(track: str, store_url: str, environ: Mapping[str, str]) -> Iterator[Release]:
    """Run a release until the block ends."""
    pod_name = f"kv-{track}-0"
    service = ReadService(
        {
            "KV_STORE_URL": store_url,
            "KV_VERSION": VERSIONS[track],
            "KV_TRACK": track,
            "KV_POD": pod_name,
            **environ,
        }
    )
    try:
        service.start()
        yield Release(track, service, pod_name)
    finally:
        service.stop()
