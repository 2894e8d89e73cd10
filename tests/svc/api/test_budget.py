"""The byte budget collects garbage and returns memory by the bytes that were held."""

from __future__ import annotations

import gc
import os
import weakref

from svc.api.budget import ByteBudget
from svc.telemetry.instruments import Counter
from tests.support.processes import resident_bytes

MIB = 1 << 20


class Cycle:
    """An object that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


def test_after_as_many_bytes_as_the_limit_garbage_is_collected() -> None:
    budget = ByteBudget(1000, Counter("rejected", "", ("reason",)))
    gc.disable()
    try:
        left = weakref.ref(Cycle())
        for _ in range(10):
            budget.hold(100)
            budget.release(100)
        assert left() is not None

        budget.hold(100)

        assert left() is None
    finally:
        gc.enable()


def test_memory_that_is_freed_last_is_returned_too() -> None:
    budget = ByteBudget(1000 * MIB, Counter("rejected", "", ("reason",)))
    size = 64 * MIB
    budget.hold(size)
    # Small enough for the heap, of which the C library keeps the freed parts between used ones.
    parts = [bytes(32 << 10) for _ in range(size // (32 << 10))]
    budget.return_memory()
    held = resident_bytes(os.getpid())

    del parts[: len(parts) - 1]
    budget.release(size)
    budget.return_memory()

    assert held - resident_bytes(os.getpid()) > size / 2
