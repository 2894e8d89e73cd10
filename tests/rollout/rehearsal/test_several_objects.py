"""A step of several objects in a rehearsal: all have its weights, or none; clients ask for each."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Final

import pytest

from rollout.plan.model import Plan, RouteObject, Step
from rollout.rehearsal.errors import NoIngress
from rollout.rehearsal.ingress import find_ingresses
from rollout.rehearsal.notes import callers_notes
from rollout.rehearsal.rehearsal import Rehearsal, rehearsing
from rollout.runner.ports import TargetFailed
from tests.rollout.rehearsal.http_load import request, send_times
from tests.rollout.rehearsal.plans import (
    ECHOES,
    HOST,
    Document,
    canary_documents,
    canary_plan,
    canary_step,
    need_programs,
    read_routes,
)
from tests.rollout.rehearsal.test_ingress import HTTP, gateway

SECOND: Final = "kv.example.org"


def named(document: Document, name: str, **spec: object) -> Document:
    """Return a VirtualService of another name, with these fields."""
    metadata = {**document["metadata"], "name": name}
    return {**document, "metadata": metadata, "spec": {**document["spec"], **spec}}


def both(percent: int, canary: str = "canary") -> Step:
    """Return a step of two objects, the second of which names the canary's subset so."""
    step = canary_step(percent)
    second = named(copy.deepcopy(dict(step.document)), "kv-second", hosts=[SECOND], gateways=["kv"])
    for rule in second["spec"]["http"]:
        rule["route"][1]["destination"]["subset"] = canary
    return replace(step, others=(RouteObject(read_routes(second), second),))


def two_hosts() -> list[Document]:
    """Return what is applied before the first step, with a Gateway for both hosts."""
    found = canary_documents()
    for each in found:
        if each["kind"] == "Gateway":
            each["spec"]["servers"][0]["hosts"] = [HOST, SECOND]
    return found


async def tracks(running: Rehearsal) -> dict[str, dict[str, int]]:
    """Return which tracks answer at each host."""
    return {
        each.host: dict((await send_times(each.url, 20, request("GET", "/a", each.host))).tracks)
        for each in running.entrances
    }


async def test_both_objects_change_together_or_not_at_all() -> None:
    need_programs()
    plan: Plan = replace(canary_plan(), steps=(both(0), both(100)))

    async with rehearsing(two_hosts(), plan, ECHOES) as running:
        await running.target.apply(plan.steps[0])
        assert await tracks(running) == {HOST: {"stable": 20}, SECOND: {"stable": 20}}
        # Envoy refuses the second object, and so the first is not changed either.
        with pytest.raises(TargetFailed, match="step 100"):
            await running.target.apply(both(100, canary="cannary"))
        assert await tracks(running) == {HOST: {"stable": 20}, SECOND: {"stable": 20}}
        assert await running.target.in_force(plan.steps[0])

        await running.target.apply(plan.steps[1])
        assert await tracks(running) == {HOST: {"canary": 20}, SECOND: {"canary": 20}}
        assert await running.target.in_force(plan.steps[1])


def test_the_entrances_are_those_of_each_object_at_the_first_ones_gateway() -> None:
    objects = gateway({"port": HTTP, "hosts": ["*.example.com"]})
    first, second, inside = (
        read_routes(
            named(
                dict(canary_step(0).document),
                name,
                hosts=[host],
                gateways=gateways,
            )
            | {"metadata": {"name": name, "namespace": "shop"}}
        )
        for name, host, gateways in (
            ("a", "a.example.com", ["edge"]),
            ("b", "b.example.com", ["edge"]),
            ("c", "c.example.com", ["mesh"]),
        )
    )

    found, elsewhere = find_ingresses(objects, (first, second, inside), ())
    assert [each.host for each in found] == ["a.example.com", "b.example.com"]
    assert elsewhere == [inside]
    noted = [*callers_notes(found[0].proxy, elsewhere)]
    assert any(each.startswith("VirtualService shop/c changes") for each in noted)
    found, elsewhere = find_ingresses(objects, (first, second), ("b.example.com",))
    assert ([each.host for each in found], elsewhere) == (["b.example.com"], [])
    with pytest.raises(NoIngress, match="VirtualService shop/a"):
        find_ingresses(objects, (first, second), ("d.example.com",))
