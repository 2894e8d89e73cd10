"""Check that the results of concurrent increments fit one sequential history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def is_one_history(moves: Iterable[tuple[int, int]], start: int, end: int) -> bool:
    """Tell whether these moves (from, to) can be walked in some order, each exactly once.

    They are a graph's edges, and the history a trail over them all (Euler): every value is left as
    often as it is reached, but for the start and the end, and all of it hangs together.
    """
    balance: Counter[int] = Counter({start: 1})
    balance[end] -= 1
    neighbours: dict[int, set[int]] = {start: set()}
    for before, after in moves:
        balance[before] -= 1
        balance[after] += 1
        neighbours.setdefault(before, set()).add(after)
        neighbours.setdefault(after, set()).add(before)
    seen, found = {start}, [start]
    while found:
        fresh = neighbours[found.pop()] - seen
        seen |= fresh
        found += fresh
    return not any(balance.values()) and seen == neighbours.keys()
