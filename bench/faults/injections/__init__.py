"""The faults, a module for each part of the system that they affect."""

from __future__ import annotations

from typing import Final

from . import connections, failover, network, redis, service

#: In the order of the tables.
FAULTS: Final = (
    *service.FAULTS,
    *redis.FAULTS,
    *network.FAULTS,
    *failover.FAULTS,
    *connections.FAULTS,
)
