"""The test files as pytest rewrites them, made once and not by each process of pytest-xdist."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest
from _pytest.assertion.rewrite import (
    PYC_TAIL,
    AssertionRewritingHook,
    _read_pyc,
    _rewrite_test,
    _write_pyc,
    assertstate_key,
    get_cache_dir,
    try_makedirs,
)

_TESTS: Final = Path(__file__).parents[1]


def rewrite_share(config: pytest.Config, number: int, of: int) -> None:
    """Cache every ``of``-th test file in its rewritten form, where pytest looks for it.

    All processes collect the same files at the same time. On a fresh checkout each would rewrite
    all of them, which takes longer than the rest of the collection.
    """
    state = config.stash.get(assertstate_key, None)
    if state is None or not isinstance(state.hook, AssertionRewritingHook):
        return  # --assert=plain
    if sys.dont_write_bytecode:
        return
    for file in sorted(_TESTS.rglob("test_*.py"))[number::of]:
        directory = get_cache_dir(file)
        cached = directory / (file.stem + PYC_TAIL)
        if _read_pyc(file, cached) is None and try_makedirs(directory):
            source, code = _rewrite_test(file, config)
            _write_pyc(state, code, source, cached)
