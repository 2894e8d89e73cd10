"""Recovery, lag, and the verdicts in the table."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.consistency.checker import Verdict
from bench.faults.catalogue import FAULTS
from bench.faults.event_loop_lag import LagMeter, quantile, read_buckets
from bench.faults.experiment import Episode, recovery_seconds
from bench.faults.table import broken_promises, render_faults

DURABLE = Episode(FAULTS["redis-kill-always"], Verdict(acknowledged=9), 1.9, 0.049, 0.0)
LOSSY = replace(DURABLE, fault=FAULTS["redis-kill-everysec"])


def moments(*failed: float) -> list[tuple[float, bool]]:
    """Return a request every tenth of a second for five, of which some failed."""
    return [(i / 10, i / 10 not in failed) for i in range(50)]


def test_recovery_ends_with_the_last_failure_before_a_calm_second() -> None:
    assert recovery_seconds(moments(0.5, 1.2, 1.8), healed=1.0) == pytest.approx(0.8)


def test_failures_before_the_healing_are_the_faults_own() -> None:
    assert recovery_seconds(moments(0.5, 0.9), healed=1.0) == 0


def test_what_never_calms_down_has_not_recovered() -> None:
    assert recovery_seconds(moments(1.5, 2.4, 3.3, 4.2), healed=1.0) == math.inf


def test_a_lag_is_read_from_the_buckets_as_prometheus_reads_it() -> None:
    text = "\n".join(
        f'kv_event_loop_lag_seconds_bucket{{le="{bound}"}} {count}'
        for bound, count in (("0.001", 90), ("0.01", 98), ("0.1", 100), ("+Inf", 100))
    )

    assert quantile(read_buckets(text), 0.99) == pytest.approx(0.055)
    assert quantile({}, 0.99) == 0


def test_a_process_that_was_started_anew_counts_from_zero() -> None:
    meter = LagMeter([])
    meter._last[0] = {0.01: 50, math.inf: 50}

    meter.add(0, {0.01: 0, math.inf: 10})

    assert meter.p99_seconds == 0.01
    assert meter._sum == {0.01: 0, math.inf: 10}


@pytest.mark.parametrize("column", ["lost", "duplicated", "torn"])
def test_what_durability_does_not_promise_is_counted_and_not_held_against_it(column: str) -> None:
    verdict = Verdict(acknowledged=9)
    setattr(verdict, column, 1)
    name = "doubled" if column == "duplicated" else column

    assert broken_promises(replace(DURABLE, verdict=verdict)) == [name]
    assert broken_promises(replace(LOSSY, verdict=verdict)) == []


def test_the_rest_is_promised_in_any_case() -> None:
    broken = replace(
        LOSSY,
        verdict=Verdict(crossed=1),
        recovery_seconds=2.1,
        lag_p99_seconds=0.051,
    )

    assert broken_promises(broken) == ["crossed", "recovery", "lag", "acknowledged"]


def test_what_the_machine_holds_up_is_not_the_loops_lag() -> None:
    late = replace(DURABLE, lag_p99_seconds=0.12)

    assert broken_promises(late) == ["lag"]
    assert broken_promises(replace(late, machine_p99_seconds=0.08)) == []


def test_the_table_shows_counts_and_verdicts() -> None:
    lost = replace(DURABLE, verdict=Verdict(acknowledged=1234, lost=5))

    heads, _, first, second = render_faults([lost, LOSSY]).splitlines()

    assert heads.split()[:2] == ["fault", "acknowledged"]
    assert "1,234" in first
    assert first.endswith("FAIL: lost")
    assert second.endswith("PASS")
