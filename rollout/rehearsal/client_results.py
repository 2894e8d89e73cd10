"""What the load generator's clients saw: responses per second and in total, and counters. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..evidence.failures import NO_RESPONSE, is_failure

#: The track and version of a response without those headers, such as Envoy's own.
UNKNOWN: Final = ""


def name_of(status: int) -> str:
    return "no response" if status == NO_RESPONSE else str(status)


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """A response; ``track``, ``version`` and ``grpc_status`` are the values of its headers."""

    status: int
    track: str = UNKNOWN
    version: str = UNKNOWN
    grpc_status: int | None = None

    @property
    def failed(self) -> bool:
        return is_failure(self.status, self.grpc_status)


@dataclass(slots=True)
class ClientSecond:
    """The requests and failures of one second, by track; ``second`` counts from the start."""

    second: int
    requests: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class ClientResults:
    """All results so far.

    ``skipped`` counts requests that were due and not sent, because too many were in flight.
    ``acknowledged`` counts the successful increments, by counter. ``indeterminate`` counts the
    increments without a final response: each of them was made or was not.
    """

    by_status: Counter[int] = field(default_factory=Counter)
    by_track: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)
    seconds: list[ClientSecond] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    indeterminate: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    @property
    def requests(self) -> int:
        return self.by_status.total()

    @property
    def failures(self) -> int:
        return sum(each.failures.total() for each in self.seconds)

    def add(self, response: ClientResponse, second: int) -> None:
        """Count a response that came ``second`` seconds after the start."""
        while len(self.seconds) <= second:
            self.seconds.append(ClientSecond(len(self.seconds)))
        in_second = self.seconds[second]
        self.by_status[response.status] += 1
        self.by_track[response.track] += 1
        self.by_version[response.version] += 1
        in_second.requests[response.track] += 1
        in_second.failures[response.track] += response.failed

    def counter_errors(self, values: Mapping[str, int]) -> Mapping[str, int]:
        """Return the error of each wrong counter: negative for lost increments.

        ``values`` are the current values of the counters. A correct value is at least the number of
        acknowledged increments, and at most that plus the indeterminate ones.
        """
        errors = {}
        for counter in self.acknowledged | self.indeterminate:
            least = self.acknowledged[counter]
            most = least + self.indeterminate[counter]
            value = values.get(counter, 0)
            if not least <= value <= most:
                errors[counter] = value - (most if value > most else least)
        return errors
