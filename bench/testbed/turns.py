"""CPU time of a request on several servers, which are loaded in turns of a second.

The order alternates, so that the speed of the machine cancels out. Loaded at the same time they
would share a core and evict each other's code from its caches. Two processes of the same program
differ by a percent or two for as long as they live, so each round starts new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.frame.noise import noise_of, noise_row
from bench.frame.processes import Server
from bench.frame.rows import Limit, Row

from .wrk import CONNECTIONS, Load, LoadResult, interleave

#: Turns of each server in a round.
TURNS: Final = 5
TURN_SECONDS: Final = 1


@dataclass(frozen=True)
class Turns:
    """CPU times of a request in µs, by server; a list for each round."""

    #: The name of a server, and that of a second process of it: their ratio is the noise.
    twins: tuple[str, str]
    connections: int = CONNECTIONS
    times: dict[str, list[list[float]]] = field(default_factory=dict)

    def take(self, load: Load, subjects: Mapping[str, tuple[Server, Path]]) -> None:
        """Measure a round of the servers, each with its prepared requests."""
        for each in subjects.values():
            self._turn(load, *each)
        for name in subjects:
            self.times.setdefault(name, []).append([])
        for name in interleave(list(subjects), TURNS):
            self.times[name][-1].append(self._turn(load, *subjects[name]).cpu_us)

    def _turn(self, load: Load, server: Server, requests: Path) -> LoadResult:
        return load.run(server, requests, TURN_SECONDS, connections=self.connections)

    def cpu_us(self, name: str) -> list[float]:
        return [each for times in self.times[name] for each in times]

    def ratios(self, name: str, other: str) -> list[float]:
        """Return the server's CPU time ÷ the other's, turn by turn."""
        pairs = zip(self.cpu_us(name), self.cpu_us(other), strict=True)
        return [own / others for own, others in pairs]

    def ratios_by_round(self, name: str, other: str) -> list[float]:
        """Return the median of the ratios in each round."""
        rounds = zip(self.times[name], self.times[other], strict=True)
        return [median(a / b for a, b in zip(*pair, strict=True)) for pair in rounds]

    @property
    def noise(self) -> float:
        return noise_of(self.ratios_by_round(*self.twins))

    def ratio_row(self, title: str, name: str, other: str, limit: Limit | None) -> Row:
        ratios = self.ratios(name, other)
        note = f"{median(self.cpu_us(name)):.1f} and {median(self.cpu_us(other)):.1f} µs"
        note += f", pairs {min(ratios):.3g} to {max(ratios):.3g}"
        return Row(title, median(ratios), "times", limit, note, self.noise)

    def noise_row(self, title: str) -> Row:
        """Return the noise as a row. ``title`` says what is measured."""
        return noise_row(f"{title}, twice", self.ratios_by_round(*self.twins))
