"""What a rehearsal's clients ask for, where some of them ask for a release of their own."""

from __future__ import annotations

import random
from dataclasses import replace

from ..plan.model import Asked, Plan, Strategy
from ..rehearsal.request_mix import (
    KeyValueMix,
    RepeatedRequest,
    Request,
    RequestInvalid,
    RequestMix,
)
from .exit_codes import Refused


class Asking:
    """A RequestMix of which a share asks for the canary."""

    def __init__(self, mix: RequestMix, asked: Asked) -> None:
        self._mix = mix
        self._asked = asked

    def draw(self) -> Request:
        """Return the next request; whether it asks is drawn for each."""
        request = self._mix.draw()
        if random.random() >= self._asked.share:
            return request
        return replace(request, headers={**request.headers, **dict(self._asked.headers)})


def mix_of(plan: Plan, request: str | None, rate: float) -> RequestMix:
    """Return what is asked for at a rate; ``request`` is a flag's, None for tallykv's own mix.

    Raise Refused for text that is no request, and where a step needs requests that ask for the
    canary and the plan does not say how they do.
    """
    try:
        mix: RequestMix = KeyValueMix() if request is None else RepeatedRequest.parse(request)
    except RequestInvalid as error:
        raise Refused(f"--request: {error}") from None
    if plan.asked is not None:
        return Asking(mix, plan.asked)
    chosen = [step.name for step in plan.steps if step.share is None]
    if chosen and rate > 0 and plan.strategy is not Strategy.WALK:
        raise Refused(
            f"at step {chosen[0]} requests ask for the canary, and the plan does not say how they"
            " do; say it in plan.yaml, as asked: {headers: {x-variant: b}, share: 0.3}"
        )
    return mix
