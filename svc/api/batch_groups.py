"""Split the operations of a batch into groups of independent operations. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

#: How an operation is sent: in one bulk operation with other reads, other plain writes or other
#: plain increments, or on its own.
Kind = Literal["get", "put", "add", "single"]

#: A parsed operation: its index in the batch, and the arguments that its kind needs. These are a
#: (Key, Precondition or None), a (Key, Draft), a (CounterName, increment), or a function that runs
#: it and returns its result.
Pending = tuple[int, Any]
#: Operations that may run concurrently, by kind.
Group = dict[Kind, list[Pending]]


def group_operations(parsed: Iterable[tuple[Kind, str, Pending]]) -> list[Group]:
    """Group operations, each given with its kind and resource. The groups must run in order.

    Operations on different resources are independent. Those on one resource share a group only if
    they are of one bulk kind, because the store keeps the order within a bulk operation.
    """
    groups: list[Group] = []
    last: dict[str, tuple[int, Kind]] = {}
    for kind, resource, pending in parsed:
        index, before = last.get(resource, (-1, "single"))
        if before != kind or kind == "single":
            index += 1
        last[resource] = (index, kind)
        if index == len(groups):
            groups.append({})
        groups[index].setdefault(kind, []).append(pending)
    return groups
