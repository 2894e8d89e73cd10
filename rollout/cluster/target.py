"""A rollout's target in a cluster: write the weights of live routes, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lightkube import AsyncClient

from ..plan.model import Plan, Step
from ..runner.ports import TargetFailed
from .api_client import Json
from .live_routes import LiveRoutes, Timeouts


class ClusterTarget:
    """Puts a plan's steps in force by patching the objects of its routes.

    Several objects are patched one after the other. If one fails on the way to a step, those that
    were changed are put back, so that all have the same weights. A rollback goes as far as it can:
    each object is taken back, whatever becomes of the others.
    """

    def __init__(
        self,
        client: AsyncClient,
        plan: Plan,
        timeouts: Timeouts | None = None,
        *,
        why_not: Callable[[], str] = lambda: "",
    ) -> None:
        """``why_not`` returns why nothing may be written now, an empty text if it may."""
        self._timeouts = timeouts or Timeouts()
        self._rollback_step = plan.steps[0].name
        self._objects = [
            LiveRoutes(client, plan, self._timeouts, why_not, place)
            for place, _ in enumerate(plan.steps[0].objects)
        ]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return findings that do not stop a rollout."""
        return tuple(dict.fromkeys(text for each in self._objects for text in each.warnings))

    async def check(self) -> tuple[str, ...]:
        """Return warnings; raise ManagedByOther if another tool sets weights, or TargetFailed."""
        for each in self._objects:
            await each.check()
        return self.warnings

    async def apply(self, step: Step) -> None:
        """Put a step in force; return when istiod has seen it and propagation_seconds have passed.

        Raise ManagedByOther if somebody else sets the weights or the routes are not the plan's, or
        TargetFailed.
        """
        if step.name == self._rollback_step:
            # It must not wait for lists. The objects' own metadata is checked anyway.
            changed = await self._take_all_back(step)
        else:
            for each in self._objects:
                await each.refuse_claimed()
            changed = await self._patch_together(step)
        for each in self._objects:
            await each.confirm(step)
        if changed:
            await asyncio.sleep(self._timeouts.propagation_seconds)

    async def in_force(self, step: Step) -> bool:
        """Return True if the routes are those of the step; raise TargetFailed if unreadable."""
        for each in self._objects:
            if not await each.in_force(step):
                return False
        return True

    async def is_between(self, one: Step, other: Step, /) -> bool:
        """Return True if each object is as at one of two steps, and not all as at the same."""
        if len(self._objects) == 1:
            return False
        found = [(await each.in_force(one), await each.in_force(other)) for each in self._objects]
        return all(map(any, found)) and not any(map(all, zip(*found, strict=True)))

    async def preview(self, step: Step) -> list[tuple[str, Json]]:
        """Return the operations by which ``apply`` would change the live routes now.

        Each comes with the object's title, which is empty if there is only one.
        """
        several = len(self._objects) > 1
        return [
            (each.title if several else "", edit)
            for each in self._objects
            for edit in await each.preview(step)
        ]

    async def give_back(self) -> None:
        """Let others apply the routes again, once the rollout has ended; raise TargetFailed."""
        for each in self._objects:
            await each.give_back()

    async def _take_all_back(self, step: Step) -> bool:
        """Patch each object; raise the first failure at the end. Return True if any changed."""
        changed, failures = False, list[TargetFailed]()
        for each in self._objects:
            try:
                changed |= await each.patch(step)
            except TargetFailed as failed:
                failures.append(failed)
        if failures:
            raise failures[0]
        return changed

    async def _patch_together(self, step: Step) -> bool:
        """Patch all objects or none; return True if any changed."""
        if len(self._objects) == 1:
            return await self._objects[0].patch(step)
        before = [await each.find_step() for each in self._objects]
        changed: list[tuple[LiveRoutes, Step | None]] = []
        for each, old in zip(self._objects, before, strict=True):
            try:
                if await each.patch(step):
                    changed.append((each, old))
            except TargetFailed as failed:
                # Perhaps it was applied, and only the answer was lost.
                said = await _put_back([*changed, (each, old)])
                raise type(failed)(f"{failed}; {said}" if said else str(failed)) from failed
        return bool(changed)


async def _put_back(changed: list[tuple[LiveRoutes, Step | None]]) -> str:
    """Put objects back to their earlier steps; say what became of those that had changed."""
    said = []
    for each, old in reversed(changed):
        if old is None:
            continue
        try:
            if await each.patch(old):
                said.append(f"{each.title} was put back to step {old.name}")
        except TargetFailed as failed:
            said.append(f"{each.title} could not be put back to step {old.name} ({failed})")
    return ", ".join(said)
