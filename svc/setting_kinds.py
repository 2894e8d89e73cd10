"""How the text of a setting is parsed: each parser's ValueError completes "… is not"."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

_TOKEN: Final = re.compile(r"[!-~]{1,128}")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def setting(parse: Callable[[str], Any], default: Any, doc: str, *, is_secret: bool = False) -> Any:
    """Declare a setting: its parser, its default (or a function that returns it), and its doc.

    The parser raises ValueError, whose message completes "… is not". A secret has no flag: every
    user of the machine can read the command line.
    """
    metadata = {"parse": parse, "doc": doc, "is_secret": is_secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def decimal(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text) or not low <= float(text) <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(text)

    return parse


def token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("1 to 128 visible ASCII characters, without spaces")
    return text


def choices(*names: str) -> Callable[[str], frozenset[str]]:
    def parse(text: str) -> frozenset[str]:
        chosen = frozenset(part.strip() for part in text.split(","))
        if not chosen <= set(names):
            raise ValueError(f"a comma-separated choice of {', '.join(names)}")
        return chosen

    return parse


def anything(text: str) -> str:
    if not text:
        raise ValueError("not empty")
    return text


def a_path(text: str) -> Path:
    return Path(anything(text))


def choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return parse


def on_or_off(text: str) -> bool:
    return choice("on", "off")(text) == "on"


def host_names(text: str) -> frozenset[str]:
    """Parse names as they stand in Host, without their ports; ``*`` is any."""
    names = frozenset(part.strip().lower() for part in text.split(","))
    if names != {"*"} and not all(map(_HOST.fullmatch, names)):
        raise ValueError("a comma-separated list of host names without ports, or *")
    return names


def origins(text: str) -> frozenset[str]:
    """Parse origins as browsers send them; ``*`` is any."""
    names = frozenset(part.strip() for part in text.split(","))
    if names != {"*"} and not all(map(_ORIGIN.fullmatch, names)):
        raise ValueError("a comma-separated list of origins such as https://app.example.com, or *")
    return names


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError("a comma-separated list of networks such as 10.0.0.0/8") from None


def is_loopback(host: str) -> bool:
    """Return True for an address that no other host reaches."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: nobody knows what it will resolve to
        return False


def advice(unknown: Sequence[str], known: Sequence[str]) -> str:
    """Return what somebody who wrote an unknown name may have meant."""
    close = get_close_matches(unknown[0], known, n=1)
    return f"did you mean {close[0]}?" if close else "`serve --help` lists them all"
