"""Free addresses on the loopback interface, which other machines can't reach."""

from __future__ import annotations

import contextlib
import random
import socket
from collections import deque
from typing import Final

from ..envoy.configuration import Address

LOOPBACK: Final = "127.0.0.1"
#: Below the ephemeral ports. The system could give one of those to a client before the server that
#: it was chosen for listens on it.
_PORTS: Final = range(15_000, 32_000)
#: UDP sockets on the ports that were returned last, of any process. They say that a port is taken
#: until its server listens: that of another rehearsal would answer in its place.
_taken: Final[deque[socket.socket]] = deque()
#: More than a rehearsal chooses before its servers listen.
_MOST_TAKEN: Final = 64


def free_addresses(count: int) -> list[Address]:
    """Return ``count`` different addresses whose ports are free now."""
    return [free_address() for _ in range(count)]


def free_address() -> Address:
    """Return an address whose port is free now, and that no rehearsal has chosen lately."""
    while True:
        address = (LOOPBACK, random.choice(_PORTS))
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(socket.socket()).bind(address)
            mark = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            mark.bind(address)
            _taken.append(socket.socket(fileno=mark.detach()))
            if len(_taken) > _MOST_TAKEN:
                _taken.popleft().close()
            return Address(*address)


def url_of(address: Address, *, secure: bool = False) -> str:
    return f"http{'s' if secure else ''}://{address.host}:{address.port}"
