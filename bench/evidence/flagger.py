"""A replica of Flagger's algorithm, with the settings of its Istio tutorial. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from .recorded_traffic import Behaviour, Recording

INTERVAL_SECONDS: Final = 60
THRESHOLD: Final = 5
STEP_WEIGHT: Final = 10
MAX_WEIGHT: Final = 50
MIN_SUCCESS_RATIO: Final = 0.99
SUCCESS_SECONDS: Final = 60
MAX_P99_SECONDS: Final = 0.5
P99_SECONDS: Final = 30
#: The buckets of istio_request_duration_milliseconds, in seconds.
BUCKETS: Final = np.array(
    [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600]
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it promoted, after how long, and what the canary had received by then."""

    promoted: bool
    seconds: float
    requests: int
    failures: int


def judge(recording: Recording, canary: Behaviour) -> Verdict:
    """Run a check each minute, from the first weight on. Stable is never compared.

    A failed check holds the weight and is counted. The count is compared before the check of the
    next minute, so that a rollback comes a minute after the last failure.
    """
    weight, failed_checks, seconds = STEP_WEIGHT, 0, 0
    requests = failures = 0
    while True:
        failed, took = _answers(recording, canary, weight, seconds)
        seconds += INTERVAL_SECONDS
        requests += sum(map(len, failed))
        failures += sum(int(np.count_nonzero(each)) for each in failed)
        if failed_checks >= THRESHOLD:
            return Verdict(False, seconds, requests, failures)
        recent = round(P99_SECONDS / recording.seconds)
        if _succeeds(np.concatenate(failed)) and _is_quick(np.concatenate(took[-recent:])):
            if weight >= MAX_WEIGHT:
                return Verdict(True, seconds, requests, failures)
            weight += STEP_WEIGHT
        else:
            failed_checks += 1


def _answers(
    recording: Recording, canary: Behaviour, weight: int, since: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    failed, took = [], []
    first = round(since / recording.seconds)
    for number in range(first, first + round(SUCCESS_SECONDS / recording.seconds)):
        block = recording.block(number)
        one, other = block.answered(block.canary(weight / 100), canary)
        failed.append(one)
        took.append(other)
    return failed, took


def _succeeds(failed: np.ndarray) -> bool:
    # Without requests the check fails.
    return len(failed) > 0 and 1 - float(np.mean(failed)) >= MIN_SUCCESS_RATIO


def _is_quick(took: np.ndarray) -> bool:
    """Compare the p99 as histogram_quantile() computes it: by interpolation in the bucket."""
    if not len(took):
        return False
    counts = np.searchsorted(np.sort(took), BUCKETS, side="right")
    rank = 0.99 * len(took)
    bucket = int(np.searchsorted(counts, rank))
    if bucket == len(BUCKETS):
        return False
    below = int(counts[bucket - 1]) if bucket else 0
    low = float(BUCKETS[bucket - 1]) if bucket else 0.0
    part = (rank - below) / (int(counts[bucket]) - below)
    return low + part * (float(BUCKETS[bucket]) - low) <= MAX_P99_SECONDS
