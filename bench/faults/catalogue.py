"""Every fault whose outcome the checker judges, in the order of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .injections import connections, failover, names, network, redis, redis_strain, service
from .scenes import Fault

_FAMILIES: Final = (service, redis, redis_strain, network, names, failover, connections)

FAULTS: Final[Mapping[str, Fault]] = {
    fault.name: fault for family in _FAMILIES for fault in family.FAULTS
}
