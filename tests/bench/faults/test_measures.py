"""Recovery, event loop lag, and the rows of a fault."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.consistency.checker import Verdict
from bench.faults.event_loop_lag import EventLoopLag, histogram_quantile, parse_buckets
from bench.faults.experiment import Result, recovery_seconds
from bench.faults.injections import FAULTS
from bench.faults.refusal_cost import Costs
from bench.frame.rows import render_table
from bench.testbed.scrape import Scrape

BY_NAME = {fault.name: fault for fault in FAULTS}
DURABLE = Result(BY_NAME["redis-kill-always"], Verdict(acknowledged=9), 1.9, 0.049, 0.0)
LOSSY = replace(DURABLE, fault=BY_NAME["redis-kill-everysec"])


def broken(result: Result) -> list[str]:
    return [row.title for row in result.rows() if row.is_broken]


def returns(*failed: float) -> list[tuple[float, bool]]:
    """Return a request every tenth of a second for five, of which some failed."""
    return [(i / 10, i / 10 not in failed) for i in range(50)]


def test_recovery_ends_with_the_last_failure_before_a_calm_second() -> None:
    assert recovery_seconds(returns(0.5, 1.2, 1.8), healed=1.0) == pytest.approx(0.8)


def test_failures_before_the_end_of_the_fault_do_not_count() -> None:
    assert recovery_seconds(returns(0.5, 0.9), healed=1.0) == 0


def test_without_a_calm_second_there_is_no_recovery() -> None:
    assert recovery_seconds(returns(1.5, 2.4, 3.3, 4.2), healed=1.0) == math.inf


def test_a_lag_is_computed_from_the_buckets_as_prometheus_computes_it() -> None:
    text = "\n".join(
        f'kv_event_loop_lag_seconds_bucket{{le="{bound}"}} {count}'
        for bound, count in (("0.001", 90), ("0.01", 98), ("0.1", 100), ("+Inf", 100))
    )

    assert histogram_quantile(0.99, parse_buckets(Scrape(text))) == pytest.approx(0.055)
    assert histogram_quantile(0.99, {}) == 0


def test_a_restarted_process_counts_from_zero() -> None:
    lag = EventLoopLag([])
    lag._last[0] = {0.01: 50, math.inf: 50}

    lag.add(0, {0.01: 0, math.inf: 10})

    assert lag.p99_seconds == 0.01
    assert lag._sum == {0.01: 0, math.inf: 10}


@pytest.mark.parametrize("kind", ["lost", "duplicated", "nonlinearizable"])
def test_a_violation_breaks_a_limit_where_durability_promises_none(kind: str) -> None:
    verdict = Verdict(acknowledged=9)
    setattr(verdict, kind, 1)
    title = "not linearizable" if kind == "nonlinearizable" else kind

    assert broken(replace(DURABLE, verdict=verdict)) == [title]
    assert broken(replace(LOSSY, verdict=verdict)) == []


def test_the_other_limits_hold_in_any_case() -> None:
    result = replace(
        LOSSY,
        verdict=Verdict(unexpected=1),
        recovery_seconds=2.1,
        lag_p99_seconds=0.051,
    )

    assert broken(result) == ["acknowledged", "unexpected", "recovery", "event loop lag, p99"]


def test_the_lag_of_the_machine_is_not_that_of_the_event_loop() -> None:
    late = replace(DURABLE, lag_p99_seconds=0.12)

    assert broken(late) == ["event loop lag, p99"]
    assert broken(replace(late, machine_p99_seconds=0.08)) == []


def test_the_table_shows_counts_and_verdicts() -> None:
    lost = replace(DURABLE, verdict=Verdict(acknowledged=1234, lost=5))

    heads, _, first, second, *_ = render_table("fault", list(lost.rows())).splitlines()

    assert heads.split()[:2] == ["fault", "value"]
    assert first.split()[:2] == ["acknowledged", "1,234"]
    assert second.split() == ["lost", "5", "≤", "0", "FAIL"]


def test_the_attempts_that_a_cost_allows_use_the_cpu_up() -> None:
    costs = Costs(answer=1e-3, refusal=2e-5)

    attempts = costs.attempts_at(0.8, 2.0)

    # In the time of one answer at the peak: 0.8 answers, and all other attempts refused.
    assert 0.8 + (2.0 * attempts - 0.8) * 0.02 == pytest.approx(1.0)
