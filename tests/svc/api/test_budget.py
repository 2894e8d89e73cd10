"""The byte budget collects garbage by the bytes that were held, not only by objects."""

from __future__ import annotations

import gc
import weakref

from svc.api.budget import ByteBudget
from svc.telemetry.instruments import Counter


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
