"""What a caller may do: the grant of its token. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from .limits import Rate

Scope = Literal["read", "write", "delete", "admin"]

SCOPES: Final[tuple[Scope, ...]] = ("read", "write", "delete", "admin")
#: The prefix of every name.
ANY: Final = ("",)


class Grant(msgspec.Struct, frozen=True):
    """A caller's scopes, and the prefixes of the keys and counters that they are limited to.

    Prefixes are literal and compared byte by byte: ``team-a/`` covers ``team-a/x``, and neither
    ``team-a`` nor ``Team-A/x``. () covers nothing.
    """

    id: str
    scopes: frozenset[Scope]
    keys: tuple[str, ...] = ANY
    counters: tuple[str, ...] = ANY
    #: The rates of its own, by class; None: no limit. Other classes have those of the settings.
    rates: Mapping[str, Rate | None] = {}

    def may_key(self, scope: Scope, key: str) -> bool:
        """Return True if the caller may do this with the entry of this key."""
        return scope in self.scopes and key.startswith(self.keys)

    def may_counter(self, scope: Scope, name: str) -> bool:
        """Return True if the caller may do this with the counter of this name."""
        return scope in self.scopes and name.startswith(self.counters)
