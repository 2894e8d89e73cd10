"""Who sent a request: its address behind trusted proxies, and its user agent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Networks = Sequence[IPv4Network | IPv6Network]
Address = IPv4Address | IPv6Address

#: The longest user agent that a line has, in characters. Browsers' are half as long.
MOST_AGENT_CHARACTERS: Final = 256
#: So many proxies are looked through: a client may make up any number of them.
MOST_HOPS: Final = 32


def client_address(peer: str, forwarded: str, proxies: Networks) -> Address | None:
    """Return the address of the client, or of the nearest proxy that is not trusted.

    ``forwarded`` is X-Forwarded-For, to which each proxy adds its peer at the end. Whoever is not
    trusted may have written what is before. None: the peer has no address.
    """
    address = _parse(peer)
    if address is None or not proxies:
        return address
    hops = [hop for each in forwarded.split(",") if (hop := each.strip())][-MOST_HOPS:]
    while hops and any(address in network for network in proxies):
        before = _parse_hop(hops.pop())
        if before is None:
            break
        address = before
    return address


def shown_agent(text: str) -> str:
    """Return a User-Agent as lines show it: not too long, and no character that moves a cursor."""
    shown = text[:MOST_AGENT_CHARACTERS]
    if shown.isprintable():
        return shown
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown
    )


def _parse_hop(text: str) -> Address | None:
    """Parse an address of X-Forwarded-For, to which some proxies add the port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    # A zone may be any text, and means nothing on another host.
    return None if "%" in text else _parse(text)


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket that takes both families shows IPv4 clients so.
    return getattr(address, "ipv4_mapped", None) or address
