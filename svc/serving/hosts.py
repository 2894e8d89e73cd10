"""Which names of itself a port takes in Host: the defence against DNS rebinding. Pure.

A web page can let its own name resolve to 127.0.0.1. To the browser, this service is then a part of
that page's site. But Host still has the page's name, which is none of ours.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from ..setting_kinds import is_loopback

#: The names of this machine for itself, as they stand in Host.
LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def accepted_hosts(bound: str, named: AbstractSet[str]) -> frozenset[str] | None:
    """Return the names that a port bound to this address takes; None: any.

    ``named`` are those of KV_HOSTS. Behind an address that other hosts reach, names are the
    business of whoever gives them: a Service, a gateway, a probe by the pod's address.
    """
    if "*" in named or not is_loopback(bound):
        return None
    return LOCAL | named | {f"[{bound}]" if ":" in bound else bound.lower()}
