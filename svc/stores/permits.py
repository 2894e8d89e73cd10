"""Permits of rate limits in Redis: one script for those of one turn of the event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.errors import DomainError, StoreUnavailable
from ..domain.limits import Ask, Taken
from . import scripts
from .access import RedisAccess
from .names import permit_name
from .redis_errors import domain_error_of


class RedisPermits(RedisAccess):
    """The part of the Store port that is about permits."""

    async def take_many(self, asks: Sequence[Ask], deadline: float) -> list[Taken | DomainError]:
        names = [permit_name(ask.name) for ask in asks]
        replies = await self.execute_groups(
            names, lambda group: _command(names, asks, group), deadline
        )
        outcomes: list[Taken | DomainError] = [StoreUnavailable()] * len(asks)
        for group, reply in replies:
            values: Any = [reply] * len(group) if isinstance(reply, Exception) else reply
            for i, value in zip(group, values, strict=True):
                if isinstance(value, Exception):
                    outcomes[i] = domain_error_of(value, changing=True)
                else:
                    outcomes[i] = Taken(value[0] == 1, value[1], value[2] / 1_000_000)
        return outcomes


def _command(names: Sequence[bytes], asks: Sequence[Ask], group: list[int]) -> tuple[Any, ...]:
    arguments: list[str | int] = []
    for i in group:
        ask = asks[i]
        arguments += (repr(ask.rate.us_each), ask.rate.permits, ask.used, ask.wanted)
    return (scripts.TAKE, len(group), *[names[i] for i in group], *arguments)
