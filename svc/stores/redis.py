"""Entries and counters in Redis: all of the port but the single plain operations.

Those are coalescing.py's, which makes them of the bulk operations here.
"""

from __future__ import annotations

from . import listing
from .counters import RedisCounters
from .entries import RedisEntries
from .refusals import checked


class RedisStore(RedisEntries, RedisCounters):
    """Both, over one Link."""

    async def ping(self) -> str:
        """Ask one of the servers whether it answers; return its version."""
        (reply,) = await self.execute([("INFO", "server")], repeatable=True)
        return listing.server_facts(checked(reply, changing=False))["redis_version"]
