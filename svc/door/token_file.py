"""The tokens file in use: read at the start, and again whenever it changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from ..api.tokens_status import TokensStatus
from ..telemetry.metrics import Metrics
from .tokens import Token, TokensInvalid, parse_tokens

#: How often to look whether the file changed.
WATCH_SECONDS: Final = 0.5
MAX_BYTES: Final = 4 << 20

log = logging.getLogger(__name__)

#: What tells one state of the file from another. Kubernetes swaps a symbolic link.
State = tuple[int, int, int, int]


class TokenFile:
    """The tokens of a file. Those that were read last stay in use while the file is broken."""

    def __init__(self, path: Path, metrics: Metrics) -> None:
        """Read the file. Raises TokensInvalid."""
        self._path = path
        self._metrics = metrics
        self._state = self._look()
        self.tokens = self._read()
        #: Tokens by the header in which they came and were found good: hashing takes as long as
        #: all the rest. To look a text up tells nobody how much of it was right: Python compares
        #: its hash first, which has a random key.
        self.seen: dict[str, Token] = {}
        self._loaded = time.time()
        self._error = ""
        #: Called after each look at the file.
        self.after_look: Callable[[], None] | None = None
        metrics.watch_tokens(lambda: len(self.tokens), lambda: bool(self._error))

    def _look(self) -> State | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _read(self) -> dict[str, Token]:
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise TokensInvalid(f"it can't be read: {error.strerror}") from None
        if len(text) > MAX_BYTES:
            raise TokensInvalid(f"it has more than {MAX_BYTES} bytes")
        try:
            return parse_tokens(text.decode())
        except UnicodeDecodeError:
            raise TokensInvalid("it is not UTF-8") from None

    def refresh(self) -> None:
        """Read the file if it changed. Keep the tokens in use if it can't be used."""
        state = self._look()
        if state == self._state:
            return
        self._state = state
        try:
            self.tokens = self._read()
        except TokensInvalid as error:
            self._error = str(error)
            self._metrics.token_reloads["failed",] += 1
            log.warning(
                "tokens file is broken, the tokens before it stay in use",
                extra={"reason": self._error, "tokens": len(self.tokens)},
            )
        else:
            self.seen = {}
            self._error = ""
            self._loaded = time.time()
            self._metrics.token_reloads["ok",] += 1
            log.info("tokens file was read again", extra={"tokens": len(self.tokens)})

    def has(self, token: Token) -> bool:
        """Return True if the token is in use, with the same grant, until the same time."""
        return self.tokens.get(token.grant.id) == token

    def status(self) -> TokensStatus:
        """Return what ``/statusz`` shows."""
        return TokensStatus(
            count=len(self.tokens),
            loaded_seconds=round(time.time() - self._loaded, 3),
            error=self._error or None,
        )

    async def watch(self, _: web.Application) -> AsyncIterator[None]:
        """Refresh now and then, from the application's start to its end."""
        task = asyncio.create_task(self._watch())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.refresh()
            if self.after_look is not None:
                self.after_look()
