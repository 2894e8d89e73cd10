"""Rehearsals that the tests of a module share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from rollout.rehearsal.rehearsal import Rehearsal, rehearsing
from tests.rollout.rehearsal.plans import (
    ECHOES,
    TALLYKV,
    canary_documents,
    canary_plan,
    need_programs,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def echoes() -> AsyncIterator[Rehearsal]:
    """A running canary whose pods are echo services."""
    need_programs()
    async with rehearsing(canary_documents(), canary_plan(), ECHOES) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tallykv() -> AsyncIterator[Rehearsal]:
    """A running canary whose pods are tallykv, with one Redis."""
    need_programs()
    async with rehearsing(canary_documents(), canary_plan(), TALLYKV) as running:
        yield running
