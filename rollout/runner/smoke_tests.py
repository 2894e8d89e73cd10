"""Asks a release before its users do: the smoke checks of a plan, over HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from yarl import URL

from ..plan.model import Check
from .controller import Checker

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)


@contextlib.asynccontextmanager
async def open_checker(url: str, host: str | None = None) -> AsyncIterator[Checker]:
    """Open a checker until the block ends: it asks ``url``, as ``host`` if that is another name."""
    base = url.rstrip("/")
    named = {} if host is None else {"Host": host}
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:

        async def check(wanted: Check) -> str:
            shown = f"{wanted.method} {wanted.path}"
            try:
                async with session.request(
                    wanted.method,
                    URL(base + wanted.path, encoded=True),
                    headers={**named, **dict(wanted.headers)},
                    allow_redirects=False,
                ) as answer:
                    if answer.status == wanted.status:
                        return ""
                    return f"{shown} was answered {answer.status} instead of {wanted.status}"
            except TimeoutError:
                return f"{shown} was not answered within {_TIMEOUT.total:g} s"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                return f"{shown} can't be asked: {error or type(error).__name__}"

        yield check


async def no_checker(wanted: Check) -> str:
    """Fail every check: nobody said where to ask."""
    return f"{wanted.method} {wanted.path} was not asked: give the gateway's address with --url"
