"""What ``/statusz`` shows of the tokens."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from aiohttp import web


class TokensStatus(msgspec.Struct, frozen=True):
    """``error`` says why the file can't be used; the ``count`` tokens read before stay in use."""

    count: int
    loaded_seconds: float
    error: str | None


class ShowsTokens(Protocol):
    """What has tokens and can tell about them."""

    def status(self) -> TokensStatus:
        """Return what ``/statusz`` shows."""


TOKENS_STATUS: Final = web.AppKey("tokens_status", ShowsTokens)
