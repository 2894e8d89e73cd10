"""How a rollout with a fault ended, in the terms of its promises."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.frame.rows import Row, at_most
from rollout.runner.decisions import Reason
from tests.rollout.faults.world import World

_VERDICTS: Final = frozenset({"promoted", "rolled_back", "inconclusive"})
#: A failing canary may have requests for as long as the fault lasts, and so long besides.
_LIMIT_SECONDS: Final = 10.0
_DIGITS: Final = re.compile(r"\d+")


def broken_promises(world: World) -> Iterator[str]:
    """Yield what is not as it should be, once the rollout has ended."""
    state, share = world.state(), world.share
    if share not in {0, 100}:
        yield f"the canary is left with {share} %"
    elif world.service.errors.get("canary" if share else "stable"):
        yield "all requests go to the release that fails"
    if not state.get("ended"):
        yield "the state says that the rollout goes on"
    elif round((state["plan"]["steps"][state["step"]][1] or 0) * 100) != share:
        yield f"the state says step {state['step']}, the routes {share} %"
    events = world.events()
    verdicts = [each["kind"] for each in events if each["kind"] in _VERDICTS]
    if len(verdicts) != 1:
        yield f"{len(verdicts)} verdicts were told: {verdicts}"
    # Whatever else is told between two holds may be a reason to tell the second one again.
    told = [
        (each["kind"], each.get("reason"), _told(each))
        for each in events
        if each["kind"] != "window"
    ]
    if any(one == other and one[0] == "held" for one, other in itertools.pairwise(told)):
        yield "a reason was told twice"


def _told(event: Mapping[str, Any]) -> str:
    """Return what a person reads as the same again: the age of a sample may grow.

    Another number of pods is another wait: those of the first step, then those of the next one.
    """
    detail = str(event.get("detail", ""))
    return detail if event.get("reason") == Reason.PODS.value else _DIGITS.sub("", detail)


def rows_of(title: str, world: World, fault_seconds: float = 0.0) -> list[Row]:
    """Return the rows of one rollout."""
    state = world.state()
    broken = list(broken_promises(world))
    beyond = max(0.0, world.exposed_seconds - fault_seconds)
    note = f"{state.get('verdict')} ({state.get('reason')}), {world.share} % to the canary"
    return [
        Row(f"{title}: broken promises", len(broken), "", at_most(0), "; ".join(broken) or note),
        Row(
            f"{title}: a failing canary had requests",
            beyond,
            "s",
            at_most(_LIMIT_SECONDS),
            f"{world.exposed_seconds:.1f} s, the fault lasted {fault_seconds:.1f} s",
        ),
    ]
