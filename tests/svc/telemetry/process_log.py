"""A service process all of whose log is kept."""

from __future__ import annotations

import contextlib
import json
import signal
from collections import deque
from collections.abc import Iterator
from typing import Any

from tests.support.pairs import ReadService


class HeardService(ReadService):
    """What it says is read all the time and kept to the last byte."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(environ)
        self._said: deque[bytes] = deque()

    def end(self, seconds: float = 20.0) -> int:
        """Have it drain, hear the last of it; return its exit code."""
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        self.stop()
        return code

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return what it logged, one JSON object a line; any other line is a failure."""
        return [json.loads(line) for line in self.output().splitlines()]

    def saying(self, body: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["body"] == body]


@contextlib.contextmanager
def heard_process(**environ: str) -> Iterator[HeardService]:
    """Run the service with these variables until the block ends."""
    service = HeardService({"KV_DRAIN_SECONDS": "0", **environ})
    try:
        service.start()
        yield service
    finally:
        service.stop()
