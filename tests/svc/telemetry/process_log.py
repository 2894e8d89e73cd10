"""A service process whose whole log is captured."""

from __future__ import annotations

import contextlib
import json
import signal
from collections import deque
from collections.abc import Iterator
from typing import Any

from tests.support.pairs import ReadService
from tests.support.waiting import PATIENT_SECONDS


class LoggedService(ReadService):
    """A service process whose output is read continuously and kept."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(environ)
        self._said: deque[bytes] = deque()

    def end(self, seconds: float = PATIENT_SECONDS) -> int:
        """Stop it with SIGTERM and read the rest of its output. Return its exit code."""
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        self.stop()
        return code

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return the log lines as objects. Fail if a line is not a JSON object."""
        return [json.loads(line) for line in self.output().splitlines()]

    def with_body(self, body: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["body"] == body]


@contextlib.contextmanager
def logged_process(**environ: str) -> Iterator[LoggedService]:
    """Run the service with these variables until the block ends."""
    service = LoggedService({"KV_DRAIN_SECONDS": "0", **environ})
    try:
        service.start()
        yield service
    finally:
        service.stop()
