"""Ask Redis Sentinel for the address of the primary."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from .reasons import NoPrimary, Reason, reason_behind

#: The timeout of one Sentinel's answer, with the connection to it.
ANSWER_SECONDS: Final = 0.3


class Sentinels:
    """The Sentinels of one service, asked in turn until one answers; the last good one first.

    ``options`` are redis-py's, for credentials and TLS.
    """

    def __init__(
        self, addresses: Sequence[tuple[str, int]], service: str, options: Mapping[str, Any]
    ) -> None:
        self._service = service
        self._addresses = list(addresses)
        self._options = options
        self._asking: asyncio.Task[tuple[str, int]] | None = None

    async def primary(self) -> tuple[str, int]:
        """Return the primary's host and port. Raises NoPrimary.

        Concurrent callers share a query.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
            # Retrieve the exception even if every caller was cancelled.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> tuple[str, int]:
        # See _ask_one.
        from redis.exceptions import AuthenticationError, RedisError  # noqa: PLC0415

        reason: Reason | None = None
        for address in list(self._addresses):
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    masters = await self._ask_one(*address)
            except AuthenticationError:
                reason = reason or Reason.AUTH
                continue
            except (TimeoutError, OSError, RedisError) as error:
                reason = reason or reason_behind(error)
                continue
            found = masters.get(self._service)
            if found is None or not found["is_master"] or found["is_sdown"] or found["is_odown"]:
                continue
            self._addresses.remove(address)
            self._addresses.insert(0, address)
            return found["ip"], found["port"]
        raise NoPrimary("no Sentinel names a primary", reason)

    async def _ask_one(self, host: str, port: int) -> dict[str, dict[str, Any]]:
        # redis-py takes 25 MiB of memory, so it is imported only if Sentinel is used.
        from redis.asyncio import Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        # There is one query for each new connection to Redis, so keeping it open is of no use.
        client = Redis(
            host=host,
            port=port,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            **self._options,
        )
        try:
            return cast("dict[str, dict[str, Any]]", await client.sentinel_masters())
        finally:
            await client.aclose()
