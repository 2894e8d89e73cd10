"""Which operations of a batch may travel together, and which must wait for others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

#: How an operation shares a round trip: with other reads, other plain writes, other plain steps,
#: or with none.
Kind = Literal["get", "put", "add", "alone"]

#: Position in the batch, and what its kind needs: a Key, a (Key, Draft), a (CounterName, step), or
#: a function that does it alone and returns its result.
Step = tuple[int, Any]
#: Steps that go together, by kind.
Wave = dict[Kind, list[Step]]


def plan(parsed: Iterable[tuple[Kind, str, Step]]) -> list[Wave]:
    """Split steps, each with its kind and resource, into waves that run one after the other.

    Steps of one kind on one resource may share a wave, because the store keeps their order itself;
    others on one resource may not.
    """
    waves: list[Wave] = []
    last: dict[str, tuple[int, Kind]] = {}
    for kind, resource, step in parsed:
        wave, before = last.get(resource, (-1, "alone"))
        if before != kind or kind == "alone":
            wave += 1
        last[resource] = (wave, kind)
        if wave == len(waves):
            waves.append({})
        waves[wave].setdefault(kind, []).append(step)
    return waves
