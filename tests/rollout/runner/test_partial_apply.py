"""A step that fails half-way, orders meanwhile, and holds that are told once: on a town's time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rollout.evidence.counts import Reading
from rollout.plan.model import Check, Plan, Step
from rollout.runner.controller import Controller, Verdict
from rollout.runner.directory_state_store import DirectoryState
from rollout.runner.event_recorder import Telling
from rollout.runner.events import Event, EventKind
from rollout.runner.ports import SourceFailed, TargetFailed
from rollout.runner.state_store import Order
from tests.rollout.runner.simulated_service import Town, plan_of, until

CANARY = plan_of(0.0, 0.1, 0.5, 1.0)


@dataclass
class HalfWay(Town):
    """Changes its routes, and says for a while that it could not."""

    lying: tuple[float, float] = (0, 0)

    async def apply(self, step: Step) -> None:
        # It takes its time before and after, as API servers and proxies do.
        await self.sleep(3)
        await super().apply(step)
        await self.sleep(3)
        if self._within(self.lying, self.read_file()):
            raise TargetFailed("istiod has not taken it up")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryState:
    return DirectoryState(tmp_path / "state")


async def told(plan: Plan, town: Town, store: DirectoryState) -> tuple[Verdict, list[Event]]:
    """Run with the real teller; return the verdict and what was told."""
    events: list[Event] = []
    world = town.world(store)
    telling = Telling(plan, store, world.clock, [events.append])
    verdict = await Controller(plan, replace(world, teller=telling)).run()
    return verdict, events


async def test_a_step_that_was_taken_and_said_not_to_be_confuses_nothing(
    store: DirectoryState,
) -> None:
    """Its requests are no mismatch with the weights of the step before."""
    town = HalfWay(lying=(50, 400))

    verdict, events = await told(CANARY, town, store)

    assert verdict is Verdict.PROMOTED
    assert town.history == ["0", "1", "2", "3"]
    meanwhile = [
        each
        for each in events
        if each.kind is EventKind.WINDOW and each.number == 0 and each.canary
    ]
    between = [each for each in meanwhile if each.canary and each.canary.requests]
    assert between
    assert {each.share for each in between} == {None}
    # None holds the moment of the change: there the canary has less than its tenth.
    assert {
        round(each.canary.requests / (each.canary.requests + each.stable.requests), 2)
        for each in between
        if each.canary and each.stable
    } == {0.1}
    assert max(each.evidence.mismatch for each in events if each.evidence) < 1000


async def test_a_bad_canary_is_taken_back_from_half_way(store: DirectoryState) -> None:
    town = HalfWay(lying=(50, 400), errors={"canary": 0.3})

    verdict, events = await told(CANARY, town, store)

    assert verdict is Verdict.ROLLED_BACK
    # The way back is taken before the step was ever known to be in force.
    assert town.history == ["0", "1", "0"]
    assert events[-1].reason == "harm: errors"


@pytest.mark.parametrize("stuck", [(0, 300), (50, 300)], ids=["first step", "a step"])
async def test_an_abort_is_heard_while_nothing_can_be_changed(
    store: DirectoryState, stuck: tuple[float, float]
) -> None:
    town = Town(stuck=stuck)

    async def abort() -> None:
        await until(lambda: town.seconds >= 120)
        await store.give_order(Order.ABORT)

    (verdict, events), _ = await asyncio.gather(told(CANARY, town, store), abort())

    assert verdict is Verdict.ROLLED_BACK
    assert events[-1].reason == "aborted"
    assert town.history == ["0"]
    assert await store.order() is None


async def test_an_order_on_the_way_back_makes_nobody_hurry(store: DirectoryState) -> None:
    town = Town(stuck=(62, 400), errors={"canary": 0.3})

    async def pause() -> None:
        await until(lambda: town.seconds >= 200)
        await store.give_order(Order.PAUSE)

    (verdict, events), _ = await asyncio.gather(told(CANARY, town, store), pause())

    assert verdict is Verdict.ROLLED_BACK
    assert [each.reason for each in events if each.kind is EventKind.ORDER] == ["pause"]
    # Told once, however often it is tried.
    assert [each.detail for each in events if each.reason == "target"] == [
        "the town hall is closed"
    ]


async def test_an_order_that_comes_too_late_is_not_the_next_rollout_s(
    store: DirectoryState,
) -> None:
    class Late(Town):
        async def ended(self, *_: object) -> None:
            await store.give_order(Order.ABORT)

    assert await Controller(CANARY, Late().world(store)).run() is Verdict.PROMOTED
    assert await store.order() is None


async def test_checks_that_fail_hold_a_canary_too_and_are_told_once(store: DirectoryState) -> None:
    plan = plan_of(0.0, 0.5, 1.0, deadline_seconds=300, checks=(Check("GET", "/", (), 200),))
    town = Town(broken_checks="GET / was answered 503 instead of 200")

    verdict, events = await told(plan, town, store)

    assert verdict is Verdict.INCONCLUSIVE
    assert town.history == ["0"]
    assert [(each.reason, each.detail) for each in events if each.kind is EventKind.HELD] == [
        ("unchecked", "GET / was answered 503 instead of 200")
    ]
    assert events[-1].detail == (
        "the plan's time was up while it waited: GET / was answered 503 instead of 200"
    )


async def test_a_source_that_is_away_is_told_once(store: DirectoryState) -> None:
    class Foggy(Town):
        async def read(self) -> Reading:
            if 130 <= self.seconds < 900:
                raise SourceFailed(f"the youngest sample is {self.seconds - 130:.0f} s old")
            return await super().read()

    verdict, events = await told(CANARY, Foggy(), store)

    assert verdict is Verdict.PROMOTED
    # Its age is no news.
    assert len([each for each in events if each.reason == "source"]) == 1
