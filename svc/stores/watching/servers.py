"""A subscription to each primary: kept up, and renewed when a server goes or another takes over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from ...domain.errors import StoreUnavailable
from ...telemetry.loop_clock import loop_clock
from ..link import Link, ServerLink
from ..wire import ReplyError
from .subscription import Changed, Subscription

#: Timeout of a connection with its subscription, and the pause before the next try, in seconds.
#: Together they leave half of the second in which a watcher is to know the state after a failure.
CONNECT_SECONDS: Final = 0.4
RETRY_SECONDS: Final = 0.1
#: How often a Cluster is asked which servers are its primaries, in seconds.
LOOK_SECONDS: Final = 0.5
#: Servers that subscribe within this time count as one event, in seconds.
GATHER_SECONDS: Final = 0.01

log = logging.getLogger(__name__)


class Servers:
    """Keeps the subscriptions. ``missed`` is called when changes may have passed unseen."""

    def __init__(self, link: Link, changed: Changed, missed: Callable[[], None]) -> None:
        self._link = link
        self._changed = changed
        self._missed = missed
        self._keepers: dict[ServerLink, asyncio.Task[None]] = {}
        self._live: set[ServerLink] = set()
        self._look = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._looker = asyncio.create_task(self._keep_all())

    def has(self, name: bytes | None) -> bool:
        """Return True if the server of this name tells its changes; None: if all servers do."""
        if not self._keepers or self._timer is not None:
            return False
        if name is not None and (server := self._link.server_of(name)) in self._keepers:
            return server in self._live
        return self._live >= set(self._keepers)

    def close(self) -> None:
        for task in (self._looker, *self._keepers.values()):
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    async def _keep_all(self) -> None:
        """Keep a subscription to each server that is a primary, and to no other."""
        while True:
            try:
                await self._keep_primaries()
            except StoreUnavailable as error:
                error.__traceback__ = None
            except Exception:
                log.exception("the store's servers could not be found")
            self._look.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._link.is_cluster else None):
                    await self._look.wait()

    async def _keep_primaries(self) -> None:
        if self._keepers:
            await self._link.refresh()
        deadline = loop_clock().now() + LOOK_SECONDS
        primaries = set(await self._link.primaries(deadline))
        for node in set(self._keepers) - primaries:
            self._keepers.pop(node).cancel()
        for node in primaries - set(self._keepers):
            self._keepers[node] = asyncio.create_task(self._keep(node))

    async def _keep(self, node: ServerLink) -> None:
        while True:
            subscription = Subscription(self._changed)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await subscription.open(node)
                self._live.add(node)
                self._came_up()
                await subscription.ended
            except (TimeoutError, OSError, ReplyError) as error:
                node.observe_failure(error)
                error.__traceback__ = None
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("a server could not be subscribed to")
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                self._live.discard(node)
                subscription.close()
            self._look.set()

    def _came_up(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self._report)

    def _report(self) -> None:
        self._timer = None
        self._missed()
