"""One comparison: its evidence, what was read last, and how it is shown as JSON."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..evidence.counts import OUTAGE_FAILURES, OUTAGE_RATIO, CounterSnapshot, Counts, Window
from .definition import ComparisonSpec
from .engine import ComparedEvidence
from .ratio_interval import CONFIDENCE, RatioInterval
from .verdict import MAY_ADVANCE, Facts, Verdict, judge

#: The time in seconds over which the present rate of requests is taken.
_RATE_SECONDS: Final = 300.0
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Clocks:
    """Unix time, and a clock that nobody sets; both in seconds."""

    wall: Callable[[], float]
    monotonic: Callable[[], float]


class Comparison:
    """The evidence of one run of one comparison.

    ``run`` names what is compared: the hash of a release, for example. Evidence of one run says
    nothing about the next one. ``increases`` counts how often the gate let the canary's share grow.
    """

    def __init__(self, spec: ComparisonSpec, run: str, clocks: Clocks) -> None:
        self.spec: Final = spec
        self.run: Final = run
        self.increases = 0
        self.since = clocks.wall()
        self.asked_at = self.since
        self.polls = {"read": 0, "failed": 0}
        self._objective: Final = spec.evidence_objective
        self._clocks: Final = clocks
        self._evidence = ComparedEvidence(self._objective, spec.share)
        self._interval = RatioInterval()
        self._recent: deque[Window] = deque()
        #: Time of the last reading by Prometheus' clock, and by our monotonic one.
        self._read_at: tuple[float, float] | None = None
        self._data_at: dict[str, float] = {}
        self._problem = "the counters were not read yet"

    def observe(self, snapshot: CounterSnapshot) -> None:
        """Add a reading."""
        self.polls["read"] += 1
        self._problem = ""
        self._read_at = snapshot.at, self._clocks.monotonic()
        window = self._evidence.add(snapshot)
        if window is None:
            return
        self._interval.add(window.old, window.canary)
        for arm, counts in (("stable", window.old), ("canary", window.canary)):
            if counts.requests:
                self._data_at[arm] = window.until
        self._recent.append(window)
        while self._recent[0].until < window.until - _RATE_SECONDS:
            self._recent.popleft()

    def fail(self, problem: str) -> None:
        """Note that the counters can't be read."""
        self.polls["failed"] += 1
        self._problem = problem

    @property
    def facts(self) -> Facts:
        return Facts(
            values=self._evidence.values,
            objective=self._objective,
            stale_seconds=self.spec.stale.total_seconds(),
            share=self.spec.share,
            stable_age=self._age("stable"),
            canary_age=self._age("canary"),
            both_fail=self._both_fail(),
            # One failed reading is no lack of data: the last one may be young enough.
            problem=self._problem if self._is_stale() else "",
        )

    @property
    def verdict(self) -> Verdict:
        return judge(self.facts)

    @property
    def waits_for_first_share(self) -> bool:
        """Return True if only the canary has no data, and its share was never increased.

        A canary gets no request before its first share. So the first increase of a run needs none.
        """
        facts = self.facts
        return (
            not self.increases
            and self._age("canary") is None
            and judge(replace(facts, canary_age=0.0)).word in MAY_ADVANCE
        )

    def describe(self, name: str) -> dict[str, Any]:
        """Return the answer for JSON; docs/reference/judge.md lists its fields."""
        facts, values = self.facts, self._evidence.values
        verdict = judge(facts)
        needed = values.requests_needed
        rate = self._canary_rate()
        lower, upper = self._interval.bounds
        return {
            "name": name,
            "run": self.run,
            "since": self.since,
            "verdict": verdict.word.value,
            "reason": verdict.sentence,
            "gates": verdict.gates,
            "evidence": {
                kind: {"eValue": value, "threshold": values.thresholds[kind]}
                for kind, value in values.e_values.items()
            },
            "worst": values.worst,
            "stable": _describe(values.stable, self._objective.slow_seconds),
            "canary": _describe(values.canary, self._objective.slow_seconds),
            "errorRatio": {
                "ratio": self._interval.estimate,
                "lower": lower,
                "upper": upper,
                "confidence": CONFIDENCE,
            },
            "requestsNeeded": needed,
            "secondsNeeded": round(needed / rate) if needed is not None and rate else None,
            "data": {
                "stableAgeSeconds": facts.stable_age,
                "canaryAgeSeconds": facts.canary_age,
                "problem": self._problem,
            },
        }

    def dump(self) -> dict[str, Any]:
        """Return the state for JSON; ``load`` continues with it."""
        return {
            "format": _FORMAT,
            "run": self.run,
            "since": self.since,
            "askedAt": self.asked_at,
            "increases": self.increases,
            "evidence": self._evidence.dump(),
            "interval": self._interval.dump(),
        }

    @classmethod
    def load(cls, spec: ComparisonSpec, saved: Mapping[str, Any], clocks: Clocks) -> Comparison:
        """Restore what ``dump`` returned; raise ValueError if it can't be used with ``spec``."""
        if saved.get("format") != _FORMAT:
            raise ValueError("another version wrote it")
        try:
            comparison = cls(spec, str(saved["run"]), clocks)
            comparison.since, comparison.asked_at = float(saved["since"]), float(saved["askedAt"])
            comparison.increases = int(saved["increases"])
            comparison._evidence = ComparedEvidence.load(
                comparison._objective, spec.share, saved["evidence"]
            )
            comparison._interval = RatioInterval.load(saved["interval"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no saved comparison: {error!r}") from error
        return comparison

    def _age(self, arm: str) -> float | None:
        """Return how old an arm's last requests are."""
        if self._read_at is None or arm not in self._data_at:
            return None
        at, read = self._read_at
        return at - self._data_at[arm] + self._clocks.monotonic() - read

    def _is_stale(self) -> bool:
        """Return True if nothing was read for the time after which samples are too old."""
        if self._read_at is None:
            return True
        return self._clocks.monotonic() - self._read_at[1] > self.spec.stale.total_seconds()

    def _both_fail(self) -> bool:
        if not self._recent:
            return False
        # Of one scrape interval or more: single windows may have few requests.
        until = self._recent[-1].until
        latest = [each for each in self._recent if each.until > until - 30.0]
        stable, canary = (
            _sum(each.old for each in latest),
            _sum(each.canary for each in latest),
        )
        if stable.failures < OUTAGE_FAILURES or not canary.failures:
            return False
        return all(each.failures > OUTAGE_RATIO * each.requests for each in (stable, canary))

    def _canary_rate(self) -> float:
        """Return the canary's present requests per second."""
        if not self._recent:
            return 0.0
        seconds = self._recent[-1].until - self._recent[0].since
        return sum(each.canary.requests for each in self._recent) / seconds


def _sum(counts: Any) -> Counts:
    requests = failures = 0
    for each in counts:
        requests += each.requests
        failures += each.failures
    return Counts(requests, failures)


def _describe(counts: Counts, slow_seconds: tuple[float, ...]) -> dict[str, Any]:
    return {
        "requests": counts.requests,
        "failures": counts.failures,
        "slow": {f"{edge:g}": slow for edge, slow in zip(slow_seconds, counts.slow, strict=True)},
    }
