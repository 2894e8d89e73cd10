"""Runs a plan's smoke tests: HTTP requests to the canary before other clients reach it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
from yarl import URL

from ..plan.model import SmokeTest
from .ports import RunSmokeTest

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)


@contextlib.asynccontextmanager
async def open_smoke_tester(
    url: str, host: str | None = None, tls: Mapping[str, Any] | None = None
) -> AsyncIterator[RunSmokeTest]:
    """Open an HTTP session until the block ends; yield the function that runs one smoke test.

    Requests go to ``url``, with ``host`` as Host header if it is given. ``tls`` has aiohttp's
    arguments for a server that others do not trust.
    """
    base = url.rstrip("/")
    host_header = {} if host is None else {"Host": host}
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:

        async def run(test: SmokeTest) -> str:
            name = f"{test.method} {test.path}"
            try:
                async with session.request(
                    test.method,
                    URL(base + test.path, encoded=True),
                    headers={**host_header, **dict(test.headers)},
                    allow_redirects=False,
                    **(tls or {}),
                ) as response:
                    if response.status == test.status:
                        return ""
                    return f"{name} was answered {response.status} instead of {test.status}"
            except TimeoutError:
                return f"{name} was not answered within {_TIMEOUT.total:g} s"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                return f"{name} could not be sent: {error or type(error).__name__}"

        yield run


async def fail_without_url(test: SmokeTest) -> str:
    """Fail every smoke test, because no gateway address is known."""
    return f"{test.method} {test.path} was not sent: give the gateway's address with --url"
