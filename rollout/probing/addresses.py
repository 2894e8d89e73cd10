"""Addresses that no two listeners of one process get."""

from __future__ import annotations

from typing import Final

from ..envoy.configuration import Address
from ..rehearsal.loopback import free_address

_given: Final[set[Address]] = set()
#: Of the 17,000 ports that are chosen from.
_MOST: Final = 8_000


def new_address() -> Address:
    """Return an address whose port is free now, and was not given before."""
    if len(_given) >= _MOST:
        _given.clear()
    while (found := free_address()) in _given:
        pass
    _given.add(found)
    return found
