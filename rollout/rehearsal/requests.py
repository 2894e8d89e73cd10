"""What a rehearsal's clients ask for: pure but for chance."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from ..plan.model import CanaryRequests

#: So many keys and counters are used, whatever the rate and however long.
KEYS: Final = 64
COUNTERS: Final = 8
_WORD: Final = re.compile(r"(?P<method>[A-Z]+) (?P<path>/\S*)")
_BODY: Final = b"x" * 100
#: Of a hundred requests: reads, writes; the rest are increments.
_READS: Final = 60
_WRITES: Final = 20


class RequestInvalid(ValueError):
    """Text that is no request; the message says what it should look like."""


@dataclass(frozen=True, slots=True)
class Request:
    """``counter`` is what it adds one to, and may then be tried again: it has a key for that."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    counter: str | None = None


class Mix(Protocol):
    """Where requests come from, one after the other."""

    def draw(self) -> Request:
        """Return the next request."""


class KeyValueMix:
    """Reads, writes and increments of tallykv, on keys and counters of the mix's own."""

    def __init__(self) -> None:
        self.prefix = f"rehearsal-{uuid.uuid4().hex[:8]}"

    def draw(self) -> Request:
        """Return a read, a write or an increment, by chance."""
        drawn = random.randrange(100)
        if drawn >= _READS + _WRITES:
            counter = f"{self.prefix}-{random.randrange(COUNTERS)}"
            return Request(
                "POST",
                f"/v1/counters/{counter}/increments",
                {"Idempotency-Key": uuid.uuid4().hex},
                counter=counter,
            )
        path = f"/v1/kv/{self.prefix}-{random.randrange(KEYS)}"
        if drawn < _READS:
            return Request("GET", path)
        return Request("PUT", path, {"Content-Type": "text/plain"}, _BODY)


class Repeated:
    """One request, again and again."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @classmethod
    def parse(cls, text: str) -> Repeated:
        """Read ``GET /path``; raise RequestInvalid."""
        said = _WORD.fullmatch(text.strip())
        if said is None:
            raise RequestInvalid(f'"{text}" is no request: write it as "GET /path"')
        return cls(Request(said["method"], said["path"]))

    def draw(self) -> Request:
        """Return the request."""
        return self._request


class CanaryRequestMix:
    """Requests of another mix; a share of them gets the headers that select the canary."""

    def __init__(self, mix: Mix, canary_requests: CanaryRequests) -> None:
        self._mix = mix
        self._canary_requests = canary_requests

    def draw(self) -> Request:
        """Return the next request; whether it selects the canary is random."""
        request = self._mix.draw()
        if random.random() >= self._canary_requests.share:
            return request
        headers = {**request.headers, **dict(self._canary_requests.headers)}
        return replace(request, headers=headers)
