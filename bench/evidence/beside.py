"""What the peers do in the same worlds, as the end of a note."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from statistics import median

from .rollouts import Outcome
from .scenarios import Scenario, Sizes, simulate_all


def rolled_back_by_peers(
    executor: Executor, sizes: Sizes, asked: Sequence[tuple[Scenario, tuple[str, ...]]]
) -> list[str]:
    """Return for each scenario how often the named peers roll back, and after how many failures."""
    if not sizes.peers:
        return [""] * len(asked)
    scenarios = [scenario.judged_by(name) for scenario, names in asked for name in names]
    found = iter(simulate_all(executor, sizes, scenarios))
    return ["".join(f"; {name} {_text(next(found))}" for name in names) for _, names in asked]


def _text(outcomes: Sequence[Outcome]) -> str:
    back = [each.failures for each in outcomes if each.rolled_back]
    text = f"{len(back) / len(outcomes):.0%}"
    return f"{text} ({median(back):,.0f} failed)" if back else text
