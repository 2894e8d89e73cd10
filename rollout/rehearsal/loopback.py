"""Free addresses on the loopback interface, which other machines can't reach."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

from ..envoy.configuration import Address

LOOPBACK: Final = "127.0.0.1"
#: Below the ephemeral ports. The system could give one of those to a client before the server that
#: it was chosen for listens on it.
_PORTS: Final = range(15_000, 32_000)


def free_addresses(count: int) -> list[Address]:
    """Return ``count`` different addresses whose ports are free now."""
    found: set[Address] = set()
    while len(found) < count:
        found.add(free_address())
    return [*found]


def free_address() -> Address:
    """Return an address whose port is free now."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, random.choice(_PORTS)))
            return Address(*probe.getsockname())


def url_of(address: Address, *, secure: bool = False) -> str:
    return f"http{'s' if secure else ''}://{address.host}:{address.port}"
