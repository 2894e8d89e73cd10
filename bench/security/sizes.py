"""How much is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    #: Fuzzed requests, half of them with a token.
    requests: int = 30_000
    #: How long a client sends ten times its rate.
    seconds: float = 20.0
