"""The fault table: what each fault did to acknowledged work, and where a promise is broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.frame.limits import Limit
from loadtest.table import align

from . import limits
from .experiment import Episode

HEADS: Final = (
    "fault", "acknowledged", "refused", "unknown", "lost", "doubled", "crossed", "torn",
    "recovery s", "lag p99 ms", "machine's", "promised", "",
)  # fmt: skip


def broken_promises(episode: Episode) -> list[str]:
    """Name the columns in which a limit does not hold."""
    verdict = episode.verdict
    held: list[tuple[str, float, Limit]] = [
        ("crossed", verdict.crossed, limits.CROSSED),
        ("recovery", episode.recovery_seconds, limits.RECOVERY_SECONDS),
        ("lag", own_lag_seconds(episode) * 1e3, limits.LAG_P99_MS),
    ]
    if episode.fault.is_durable:
        held += [
            ("lost", verdict.lost, limits.LOST),
            ("doubled", verdict.duplicated, limits.DUPLICATED),
            ("torn", verdict.torn, limits.TORN),
        ]
    broken = [name for name, value, limit in held if not limit.holds(value)]
    # Without any traffic nothing is shown.
    return broken if verdict.acknowledged else [*broken, "acknowledged"]


def own_lag_seconds(episode: Episode) -> float:
    """Return the event loop's lag less what the machine holds up everybody."""
    return max(0.0, episode.lag_p99_seconds - episode.machine_p99_seconds)


def render_faults(episodes: Sequence[Episode]) -> str:
    lines = [HEADS]
    for each in episodes:
        verdict, broken = each.verdict, broken_promises(each)
        counts = (
            verdict.acknowledged, verdict.refused, verdict.unknown,
            verdict.lost, verdict.duplicated, verdict.crossed, verdict.torn,
        )  # fmt: skip
        lines.append(
            (
                each.fault.title,
                *(f"{count:,}" for count in counts),
                f"{each.recovery_seconds:.2f}",
                f"{each.lag_p99_seconds * 1e3:.1f}",
                f"{each.machine_p99_seconds * 1e3:.1f}",
                each.fault.promise,
                f"FAIL: {', '.join(broken)}" if broken else "PASS",
            )  # type: ignore[arg-type]
        )
    return align(lines)
