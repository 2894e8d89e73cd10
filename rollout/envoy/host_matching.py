"""Which of several hosts matches a name best: a full name, else the longest wildcard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from ..manifests.hosts import covers_host

Value = TypeVar("Value")


def narrower_host(one: str, other: str) -> str:
    """Return the more specific of two overlapping hosts, each a name or a wildcard."""
    return max(one, other, key=_specificity)


def most_specific(host: str, by_host: Mapping[str, Value]) -> Value | None:
    """Return the value of the most specific key that matches a host, None if none does."""
    if host in by_host:
        return by_host[host]
    found = best(host, (each for each in by_host if each.startswith("*")))
    return None if found is None else by_host[found]


def best(host: str, patterns: Iterable[str]) -> str | None:
    """Return the most specific pattern that covers a host."""
    return max(
        (each for each in patterns if covers_host(each, host)), key=_specificity, default=None
    )


def _specificity(host: str) -> tuple[bool, int]:
    return not host.startswith("*"), len(host)
