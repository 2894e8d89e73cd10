"""Where Sentinel says the primary is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

#: What one Sentinel may take to let us in, and again to answer.
ANSWER_SECONDS: Final = 0.2


class Sentinels:
    """Several of them, asked by turns until one answers."""

    def __init__(self, addresses: Sequence[tuple[str, int]], service: str) -> None:
        # Only who uses Sentinel pays for redis-py's 25 MiB.
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
        """Return its host and port; raise ConnectionError.

        Those who want to know at the same moment share one asking: its connections are closed
        behind it, which must not happen under another's.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
            # Everybody who waited may have given up by then.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> tuple[str, int]:
        from redis.exceptions import RedisError  # noqa: PLC0415

        try:
            host, port = await self._sentinel.discover_master(self._service)
        except RedisError as error:
            raise ConnectionError(str(error)) from None
        finally:
            # Asked once for each new connection: nothing to keep open in between.
            for each in self._sentinel.sentinels:
                await each.aclose()
        return host, port
