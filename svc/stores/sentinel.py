"""Ask Redis Sentinel for the address of the primary."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from .reasons import NoPrimary

#: The timeout of a connection to one Sentinel, and again of its answer.
ANSWER_SECONDS: Final = 0.2


class Sentinels:
    """The Sentinels of one service, asked in turn until one answers."""

    def __init__(self, addresses: Sequence[tuple[str, int]], service: str) -> None:
        # redis-py takes 25 MiB of memory, so it is imported only if Sentinel is used.
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.asyncio.sentinel import Sentinel  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._service = service
        self._sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            addresses,
            sentinel_kwargs={
                "socket_timeout": ANSWER_SECONDS,
                "socket_connect_timeout": ANSWER_SECONDS,
                "retry": Retry(NoBackoff(), 0),
            },
        )
        self._asking: asyncio.Task[tuple[str, int]] | None = None

    async def primary(self) -> tuple[str, int]:
        """Return the primary's host and port. Raises NoPrimary.

        Concurrent callers share one query. Each query closes its connections at the end, which
        would break another query in progress.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
            # Retrieve the exception even if every caller was cancelled.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> tuple[str, int]:
        from redis.exceptions import RedisError  # noqa: PLC0415

        try:
            host, port = await self._sentinel.discover_master(self._service)
        except RedisError:
            raise NoPrimary("no Sentinel names a primary") from None
        finally:
            # There is one query for each new connection, so keeping these open is of no use.
            for each in self._sentinel.sentinels:
                await each.aclose()
        return host, port
