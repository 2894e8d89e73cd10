"""``run --dry-run``: what a run would change and ask, against the live objects. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from ..cluster.target import ClusterTarget
from ..cluster.workloads import ClusterWorkloads
from ..plan.model import Plan, Step
from ..report.formats import duration, percent
from ..runner.ports import Source, SourceFailed, TargetFailed
from ..runner.release_state import ReleaseState


async def describe_run(
    plan: Plan,
    target: ClusterTarget,
    source: Source,
    workloads: ClusterWorkloads | None,
    images: Mapping[str, str],
) -> AsyncIterator[str]:
    """Yield lines about each step, the end, and the questions; raise TargetFailed."""
    release = None
    if workloads is not None:
        release = ReleaseState(images=images, stable_pods=await workloads.count_stable())
    for number, step in enumerate(plan.steps):
        yield f"step {step.name}{_share(step)}, {_conditions(plan, step)}"
        if workloads is not None and release is not None and number:
            share = 1.0 if step.share is None else step.share
            for line in await _canary(workloads, release, share, plan):
                yield f"  {line}"
        changes = await _changes(target, step)
        for line in changes or ["the routes are so already"]:
            yield f"  {line}"
    if workloads is not None and plan.workloads:
        yield (
            f"the end: Deployment/{plan.workloads.stable} gets the pod template of"
            f" Deployment/{plan.workloads.canary}; the steps are walked back to"
            f" {plan.steps[0].name}; Deployment/{plan.workloads.canary} is scaled to 0"
        )
    yield f"a rollback: the routes of step {plan.steps[0].name}"
    for test in plan.smoke_tests:
        yield f"asked: {test.method} {test.path} at the gateway, expecting {test.status}"
    for gate in plan.gates:
        where = f" {', '.join(gate.steps)}" if gate.steps else ""
        yield f"asked: the gate {gate.name} ({gate.when}{where})"
    for each in plan.notify:
        yield f"told: {'a webhook' if each.webhook else 'a service'} of {', '.join(each.events)}"
    try:
        snapshot = await source.read()
    except SourceFailed as failed:
        yield f"asked: Prometheus, which says now: {failed}"
    else:
        yield f"asked: Prometheus, which has {len(snapshot.counts)} series of the releases now"


async def _changes(target: ClusterTarget, step: Step) -> list[str]:
    try:
        edits = await target.preview(step)
    except TargetFailed as failed:
        return [f"refused: {failed}"]
    return [
        f"{f'{title}: ' if title else ''}{each['op']} {each['path']}{_value(each)}"
        for title, each in edits
    ]


def _value(edit: Mapping[str, Any]) -> str:
    return f" = {json.dumps(edit['value'])}" if "value" in edit else ""


async def _canary(
    workloads: ClusterWorkloads, release: ReleaseState, share: float, plan: Plan
) -> Iterator[str]:
    patch, live = await workloads.plan_canary(release, share)
    name = plan.workloads.canary if plan.workloads else ""
    lines = []
    for edit in patch:
        if edit["path"] == "/spec/replicas":
            before = live["spec"].get("replicas", 1)
            lines.append(f"Deployment/{name}: {before} pods now, {edit['value']} then")
        else:
            old = live["spec"]["template"]["spec"]["containers"]
            new = edit["value"]["spec"]["containers"]
            lines += [
                f"Deployment/{name}: {was['name']} has {was['image']} now, {then['image']} then"
                for was, then in zip(old, new, strict=True)
                if was["image"] != then["image"]
            ]
    return iter(lines)


def _share(step: Step) -> str:
    return "" if step.share is None else f" ({percent(step.share)} to the canary)"


def _conditions(plan: Plan, step: Step) -> str:
    asked = step.conditions
    parts = [f"at least {duration(plan.seconds_at(step))}"]
    if asked.requests:
        parts.append(f"{asked.requests} requests to the canary")
    if asked.objective:
        parts.append("an objective of its own")
    if asked.pause:
        parts.append("a pause until resume")
    return ", ".join(parts)
