"""Free addresses on the loopback interface, which other machines can't reach."""

from __future__ import annotations

import atexit
import contextlib
import random
import socket
from collections import deque
from typing import Final

from ..envoy.configuration import Address

LOOPBACK: Final = "127.0.0.1"


class Ports:
    """Chooses free ports of a range, and none that another process of this machine chose lately.

    A server takes a while until it listens. Meanwhile, a UDP socket on its port marks that port as
    taken: otherwise another process's server could come first, and answer in its place.
    """

    def __init__(self, ports: range, most: int) -> None:
        """Keep the marks of the last ``most`` ports, more than are chosen before servers listen."""
        self._ports = ports
        self._most = most
        self._marks: deque[socket.socket] = deque()
        atexit.register(self.close)

    def choose(self, count: int = 1) -> int:
        """Return the first of this many consecutive free ports."""
        while True:
            first = random.choice(self._ports[: len(self._ports) - count + 1])
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                marks = []
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind((LOOPBACK, port))
                    marks.append(stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)))
                    marks[-1].bind((LOOPBACK, port))
                self._marks += [socket.socket(fileno=each.detach()) for each in marks]
                while len(self._marks) > self._most:
                    self._marks.popleft().close()
                return first

    def close(self) -> None:
        """Give the marks back."""
        while self._marks:
            self._marks.popleft().close()


#: Below the ephemeral ports. The system could give one of those to a client before the server that
#: it was chosen for listens on it.
_PORTS: Final = Ports(range(15_000, 32_000), 64)


def free_addresses(count: int) -> list[Address]:
    """Return ``count`` different addresses whose ports are free now."""
    return [free_address() for _ in range(count)]


def free_address() -> Address:
    """Return an address whose port is free now, and that no rehearsal has chosen lately."""
    return Address(LOOPBACK, _PORTS.choose())


def url_of(address: Address, *, secure: bool = False) -> str:
    return f"http{'s' if secure else ''}://{address.host}:{address.port}"
