"""Which of the four stores a test runs on, if many files are run at once."""

from __future__ import annotations

from typing import Final
from zlib import crc32

import pytest

from tests.support.sizes import size

#: They differ in what no test here sees most of the time: each test runs on one of the two.
TWINS: Final = ("redis-7", "valkey-9")


def spare_twins(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect each test on one of the twins, chosen by its name; none with TESTS_LONG."""
    spared = [each for each in items if _is_spared(each)] if size(1, long=0) else []
    if spared:
        config.hook.pytest_deselected(items=spared)
        gone = set(spared)
        items[:] = [each for each in items if each not in gone]


def _is_spared(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    store = parameters.params.get("backend") if parameters is not None else None
    if store not in TWINS:
        return False
    name = item.nodeid.replace(store, "", 1)
    return bool(TWINS[crc32(name.encode()) % 2] != store)
