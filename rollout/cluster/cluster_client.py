"""A client of one API server that can read its credentials again, and knows the server's clock.

The client library is lightkube. It is typed and async, and it patches any kind of object. It takes
9 MB and 0.4 s to import; kubernetes_asyncio takes 46 MB and 3 s, kr8s 50 MB and 1 s.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
from lightkube import AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from ..runner.ports import TargetFailed

#: The name of this tool in metadata.managedFields.
FIELD_MANAGER: Final = "tallykv-rollout"
#: How often credentials are read again at most.
_RENEW_SECONDS: Final = 1.0


class ClusterClient(AsyncClient):
    """A lightkube client whose credentials may be renewed on disk while it is used.

    ``skew_seconds`` is how far the server's clock is ahead of this machine's, to a second or so;
    None before the first response.
    """

    def __init__(self, load: Callable[[], SingleConfig], timeout_seconds: float) -> None:
        """Open a client with the configuration that ``load`` returns, now and at each renewal.

        Raise ConfigError, OSError or ValueError.
        """
        self._load = load
        self._timeout_seconds = timeout_seconds
        self._renewed_at = time.monotonic()
        self._retired: list[Any] = []
        self.skew_seconds: float | None = None
        self._open(load())

    def _open(self, config: SingleConfig) -> None:
        super().__init__(
            config, timeout=httpx2.Timeout(self._timeout_seconds), field_manager=FIELD_MANAGER
        )
        # lightkube passes no hooks on to the HTTP client that it makes.
        http = self._client._client  # noqa: SLF001
        http.event_hooks = {"response": [self._note_date]}

    async def renew(self) -> None:
        """Read the configuration and the credentials again, for all later requests."""
        if time.monotonic() - self._renewed_at < _RENEW_SECONDS:
            return
        self._renewed_at = time.monotonic()
        before = self._client
        # A file that is being written is read again at the next renewal.
        with contextlib.suppress(ConfigError, TargetFailed, OSError, ValueError):
            self._open(self._load())
            # Requests may still use it: it is closed at the renewal after this one.
            self._retired.append(before)
            if len(self._retired) > 1:
                await self._retired.pop(0).close()

    async def close(self) -> None:
        """Close all connections."""
        for each in (*self._retired, self._client):
            await each.close()

    def server_time(self) -> float:
        """Return the Unix time by the server's clock; by this machine's before a response."""
        return time.time() + (self.skew_seconds or 0.0)

    async def _note_date(self, response: httpx2.Response) -> None:
        with contextlib.suppress(KeyError, ValueError, TypeError, OverflowError):
            # The header has whole seconds, rounded down.
            at = parsedate_to_datetime(response.headers["Date"]).timestamp() + 0.5
            self.skew_seconds = at - time.time()
