"""Check that the results of concurrent increments fit one sequential history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def is_one_history(moves: Iterable[tuple[int, int]], start: int, end: int) -> bool:
    """Return True if these moves (from, to) fit one sequence that uses each exactly once.

    The moves are the edges of a graph, and the sequence is an Eulerian trail. It exists if every
    value is left as often as it is reached, except the first and the last, and if the graph is
    connected.
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
