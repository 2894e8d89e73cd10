"""Concurrent writes of others are kept; after too many of them the target gives up."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.target import ClusterTarget
from rollout.runner.ports import ManagedByOther, TargetFailed
from tests.rollout.cluster.virtual_services import (
    COLLECTION,
    QUICK,
    canary_plan,
    live,
    share,
    step,
    unmanaged,
    weights,
)
from tests.support.api_objects import ReceivedRequest
from tests.support.api_server import ApiServer

KEY: Final = (COLLECTION, "shop", "kv")
Json = dict[str, Any]


def label(document: Json) -> None:
    document["metadata"]["labels"]["edited"] = document["metadata"]["resourceVersion"]


async def test_an_edit_between_read_and_write_stays_to_the_byte(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()
    edited: list[Json] = []

    def edit(_: ApiServer, __: ReceivedRequest) -> None:
        if not edited:
            server.edit(*KEY, label)
            edited.append(copy.deepcopy(server.objects[KEY]))

    server.before_patch = edit
    await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    after = server.objects[KEY]
    assert len(server.writes()) == 2
    assert unmanaged(after) == unmanaged(edited[0])
    assert after["metadata"]["labels"]["edited"]
    assert weights(after) == [[90, 10]] * 2


async def test_an_edit_of_the_routes_between_read_and_write_is_refused(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()

    def edit(_: ApiServer, __: ReceivedRequest) -> None:
        server.edit(*KEY, lambda found: found["spec"]["http"][1].update(timeout="1s"))

    server.before_patch = edit

    with pytest.raises(TargetFailed, match=r"spec\.http\[1\]\.timeout"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))
    assert weights(server.objects[KEY]) == [[100, 0]] * 2


async def test_the_target_gives_up_after_too_many_conflicts(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()
    server.before_patch = lambda *_: server.edit(*KEY, label)

    with pytest.raises(TargetFailed, match="changed by others, 6 times") as caught:
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    assert not isinstance(caught.value, ManagedByOther)
    assert len(server.writes()) == QUICK.max_attempts
    assert weights(server.objects[KEY]) == [[100, 0]] * 2


async def test_a_change_that_a_webhook_rejects_is_sent_once(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()
    server.validate = lambda _: "admission webhook denied it: frozen until Monday"

    with pytest.raises(TargetFailed, match="frozen until Monday"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    assert len(server.writes()) == 1


async def test_the_writer_that_undoes_a_step_is_named(
    server: ApiServer, client: AsyncClient
) -> None:
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()

    def undo(_: ApiServer, __: ReceivedRequest) -> None:
        before = live(share(0))
        before["metadata"]["managedFields"][0] |= {"manager": "argocd-controller"}
        server.put(COLLECTION, before)

    server.after_patch = undo

    with pytest.raises(ManagedByOther, match="argocd-controller undid w10"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))


@pytest.mark.parametrize("as_text", [False, True])
async def test_a_step_is_in_force_once_istiod_has_seen_it(
    server: ApiServer, client: AsyncClient, *, as_text: bool
) -> None:
    def observe(document: Json) -> None:
        seen = document["metadata"]["generation"]
        document["status"] = {"observedGeneration": str(seen) if as_text else seen}

    server.put(COLLECTION, live(share(0)))
    server.edit(*KEY, observe)
    steps = canary_plan()
    target = ClusterTarget(client, steps, QUICK)

    with pytest.raises(TargetFailed, match="istiod has not seen it"):
        await target.apply(step(steps, "w10"))
    server.edit(*KEY, observe)
    await target.apply(step(steps, "w10"))

    assert weights(server.objects[KEY]) == [[90, 10]] * 2
