"""Thresholds of a load test, read from a TOML file, and the verdicts on a measurement.

A file has the tables ``[total]``, ``[routes."GET /v1/kv/{key}"]`` for routes with thresholds of
their own, and ``[knee]`` for the search for the knee. All keys are optional.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from .latencies import percentile

DEFAULT: Final = Path(__file__).with_name("thresholds.toml")


class ThresholdsInvalid(Exception):
    """The file cannot be used. The message says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests of some seconds. ``latencies`` are counts by milliseconds."""

    requests: int
    failures: int
    seconds: float
    latencies: Mapping[int, int]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def error_ratio(self) -> float:
        return self.failures / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """Bounds. A value equal to its bound is allowed; None demands nothing."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    error_ratio: float | None = None
    requests_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One demand, compared with the value that was found."""

    what: str
    found: float
    bound: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    @property
    def row(self) -> tuple[str, ...]:
        """Return its line of a table: what, found, bound, verdict."""
        sign = "≥" if self.at_least else "≤"
        verdict = "PASS" if self.holds else "FAIL"
        return (self.what, f"{self.found:.4g}", f"{sign} {self.bound:g}", verdict)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All demands of a file."""

    total: Demands = Demands()
    routes: Mapping[str, Demands] = field(default_factory=dict)
    knee: Demands = Demands()

    def judge(
        self, total: Measured, routes: Mapping[str, Measured], wrong_answers: int
    ) -> list[Verdict]:
        """Return the verdicts on a run. The keys of ``routes`` are those of the file.

        No wrong answer is allowed. A run without requests fails.
        """
        verdicts = [
            Verdict("wrong answers", wrong_answers, 0),
            Verdict("requests", total.requests, 1, at_least=True),
            *judge("", self.total, total),
        ]
        for name, demands in self.routes.items():
            found = routes.get(name, Measured(0, 0, 0.0, {}))
            # Some profiles do not use all routes.
            if found.requests:
                verdicts += judge(f"{name} ", demands, found)
        return verdicts


def judge(prefix: str, demands: Demands, found: Measured) -> Iterator[Verdict]:
    """Return a verdict for each demand."""
    ratios = (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))
    for name, ratio in ratios:
        bound = getattr(demands, name)
        if bound is not None:
            value = percentile(found.latencies, ratio)
            yield Verdict(f"{prefix}{name}", value, bound)
    if demands.error_ratio is not None:
        yield Verdict(f"{prefix}error_ratio", found.error_ratio, demands.error_ratio)
    if demands.requests_per_second is not None:
        what = f"{prefix}requests_per_second"
        yield Verdict(what, found.rate, demands.requests_per_second, at_least=True)


def read_thresholds(path: Path) -> Thresholds:
    """Read a TOML file; raise ThresholdsInvalid."""
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ThresholdsInvalid(f"{path}: {error}") from error
    routes = tables.pop("routes", {})
    unknown = tables.keys() - {"total", "knee"}
    if unknown or not isinstance(routes, dict):
        raise ThresholdsInvalid(
            f"{path}: there is no {', '.join(sorted(unknown)) or 'such routes'}"
        )
    return Thresholds(
        _demands(path, "total", tables.get("total", {})),
        {name: _demands(path, name, table) for name, table in routes.items()},
        _demands(path, "knee", tables.get("knee", {})),
    )


def _demands(path: Path, name: str, table: Any) -> Demands:
    known = {each.name for each in fields(Demands)}
    if not isinstance(table, dict) or not table.keys() <= known:
        raise ThresholdsInvalid(f"{path}: {name}: only {', '.join(sorted(known))} may be demanded")
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ThresholdsInvalid(f"{path}: {name}: {key}: {value!r} is no bound")
    return Demands(**table)
