"""Updates are make-before-break, and a rejected update leaves the previous one in force."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from typing import Any

import pytest

from rollout.envoy.configuration import Configuration, Objects
from rollout.rehearsal.control_plane import ControlPlane
from rollout.rehearsal.errors import ConfigurationInvalid, NotApplied
from rollout.rehearsal.rehearsal import Rehearsal
from rollout.rehearsal.step_routes import with_routes
from tests.rollout.rehearsal.http_load import request, send_times, sending, wait_for_responses
from tests.rollout.rehearsal.measurements import print_measurement
from tests.rollout.rehearsal.plans import HOST, canary_step, read_routes, routes_of
from tests.support.sizes import size
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CYCLES = size(6, long=20)
RELOADS = size(16, long=50)
RELOAD_SECONDS = 0.25
ONE = request("GET", "/v1/kv/a", HOST)


def without_canary(objects: Objects) -> Objects:
    """Return the objects after ``9-remove``: without the canary's route and subset."""
    [rule] = objects.destination_rules
    subsets = tuple(each for each in rule.spec.subsets if each.name != "canary")
    bare = rule.model_copy(update={"spec": rule.spec.model_copy(update={"subsets": subsets})})
    stable_only = read_routes(routes_of("gateway/routes"))
    return with_routes(replace(objects, destination_rules=(bare,)), stable_only)


def configuration_of(plane: ControlPlane, objects: Objects) -> Configuration:
    return plane._translate(objects, plane._endpoints)


async def test_updates_are_applied_in_time(echoes: Rehearsal) -> None:
    echoes.control_plane.convergence_seconds.clear()
    reloads = 0

    async def reload_in_time() -> bool:
        nonlocal reloads
        await echoes.target.apply(canary_step((10, 90)[reloads % 2]))
        reloads += 1
        return min(echoes.control_plane.convergence_seconds) < RELOAD_SECONDS

    for _ in range(RELOADS):
        await reload_in_time()
    # Load of other programs slows most of them down, hardly all.
    await eventually(reload_in_time, what="a quick reload")

    took = sorted(echoes.control_plane.convergence_seconds)
    print_measurement(
        f"reloads of {took[0] * 1000:.1f} to {took[-1] * 1000:.1f} ms,"
        f" median {took[len(took) // 2]:.4f} s"
    )
    assert len(took) == reloads


async def test_subsets_come_and_go_without_a_failure(echoes: Rehearsal) -> None:
    await echoes.target.apply(canary_step(50))
    plane = echoes.control_plane
    whole = plane.objects
    async with sending(echoes.gateway, ONE) as seen:
        for _ in range(CYCLES):
            await plane.apply(without_canary(whole))
            await wait_for_responses(seen, seen.total + 200)
            await plane.apply(whole)
            await wait_for_responses(seen, seen.total + 200)

    print_measurement(f"{CYCLES} cycles, {seen.total} requests: {seen.failures} failed")
    assert seen.failures == 0
    assert set(seen.tracks) == {"stable", "canary"}


async def test_the_wrong_order_does_fail(echoes: Rehearsal) -> None:
    """Shows that the test above can detect a failure."""
    await echoes.target.apply(canary_step(50))
    plane = echoes.control_plane
    publisher = plane._publisher
    now = configuration_of(plane, plane.objects)
    fewer = configuration_of(plane, without_canary(plane.objects))
    before = await no_cluster(echoes)
    async with sending(echoes.gateway, ONE) as seen:
        # Remove the subset while routes still name it.
        await publisher._put(replace(now, clusters=fewer.clusters))
        await wait_for_responses(seen, seen.total + 200)
        await publisher._put(now)

    added = await no_cluster(echoes) - before
    print_measurement(
        f"the wrong order: {seen.statuses[503]} of {seen.total} failed, {added} of them NC"
    )
    assert seen.statuses[503] >= 1
    assert added == seen.statuses[503]


async def no_cluster(echoes: Rehearsal) -> int:
    return await echoes.admin.sum_of(r"^http\.gateway_80\.no_cluster$")


def _misspelt(configuration: Configuration) -> Configuration:
    [routes] = configuration.route_configurations
    broken: dict[str, Any] = copy.deepcopy(dict(routes))
    broken["virtual_hosts"][0]["routes"][0]["route"]["timeoutx"] = "1s"
    return replace(configuration, route_configurations=(broken,))


def _without_clusters(configuration: Configuration) -> Configuration:
    """Return routes to missing clusters, which Envoy detects only in a static bootstrap."""
    return replace(configuration, clusters=configuration.clusters[:1])


async def test_a_bad_configuration_never_replaces_a_good_one(echoes: Rehearsal) -> None:
    await echoes.target.apply(canary_step(0))
    plane = echoes.control_plane
    bad = _misspelt(configuration_of(plane, plane.objects))

    with pytest.raises(NotApplied, match=r"rejects rds.*no such field: 'timeoutx'"):
        await plane._publisher.publish_unvalidated(bad)

    seen = await send_times(echoes.gateway, 1000, ONE)
    assert seen.statuses == {200: 1000}
    await echoes.target.apply(canary_step(100))
    assert (await send_times(echoes.gateway, 100, ONE)).tracks == {"canary": 100}


@pytest.mark.parametrize("spoil", [_misspelt, _without_clusters])
async def test_a_bad_configuration_is_detected_before_it_is_published(
    echoes: Rehearsal, spoil: Any
) -> None:
    plane = echoes.control_plane
    files = {file: file.read_bytes() for file in plane._publisher.directory.iterdir()}

    with pytest.raises(ConfigurationInvalid, match=r"timeoutx|unknown weighted cluster"):
        await plane._publisher.publish(spoil(configuration_of(plane, plane.objects)))

    assert {file: file.read_bytes() for file in plane._publisher.directory.iterdir()} == files
    assert (await send_times(echoes.gateway, 1000, ONE)).statuses == {200: 1000}


async def test_changes_at_once_are_made_one_after_the_other(echoes: Rehearsal) -> None:
    await asyncio.gather(*(echoes.target.apply(canary_step(each)) for each in (10, 50, 100)))

    assert await echoes.target.in_force(canary_step(100))
    assert (await send_times(echoes.gateway, 100, ONE)).tracks == {"canary": 100}
