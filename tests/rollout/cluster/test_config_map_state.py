"""A state in a ConfigMap: leases, races, and an unavailable API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.config_map_state import ConfigMapStateStore
from rollout.cluster.lease import LeaseTimes
from rollout.runner.state_store import ControlCommand, StateFailed, StateHeld
from tests.support.api_server import ApiServer, Faults, ReceivedRequest
from tests.support.waiting import eventually

KEY: Final = ("/v1/configmaps", "shop", "tallykv-rollout-kv")
#: Long enough for a busy machine; renewed often, so that others see a renewal soon.
LEASE: Final = LeaseTimes(duration_seconds=20, renew_seconds=0.05)
SHORT: Final = LeaseTimes(duration_seconds=9, renew_seconds=0.05)
#: The annotations of a holder that has ended; its lease lasts 0.3 s.
DEAD: Final = {
    "tallykv-rollout/holder": "process 1 on gone",
    "tallykv-rollout/lease-seconds": "0.3",
}


def store(
    client: AsyncClient, lease: LeaseTimes = LEASE, retry_seconds: float = 60
) -> ConfigMapStateStore:
    return ConfigMapStateStore(
        client, "shop", "kv", lease=lease, retry_seconds=retry_seconds, backoff_seconds=0.01
    )


def annotations_of(server: ApiServer) -> dict[str, str]:
    found: dict[str, str] = server.objects[KEY]["metadata"].get("annotations", {})
    return found


def events_of(server: ApiServer) -> list[dict[str, Any]]:
    lines: str = server.objects[KEY]["data"]["events.jsonl"]
    return [json.loads(line) for line in lines.splitlines()]


def take_over(server: ApiServer) -> None:
    """Make another process the holder."""
    other = {"tallykv-rollout/holder": "process 2 on other"}
    server.edit(*KEY, lambda found: found["metadata"]["annotations"].update(other))


async def hold_and(client: AsyncClient, happen: Callable[[], None], lease: LeaseTimes) -> None:
    """Hold the lease, call ``happen``, and stay until cancelled."""
    async with store(client, lease).hold():
        happen()
        await asyncio.Event().wait()


async def test_a_lease_is_taken_renewed_and_released(
    server: ApiServer, client: AsyncClient
) -> None:
    async with store(client).hold():
        first = dict(annotations_of(server))
        await eventually(lambda: annotations_of(server) != first, what="a renewal")

        assert annotations_of(server)["tallykv-rollout/holder"] == first["tallykv-rollout/holder"]
        assert first["tallykv-rollout/lease-seconds"] == "20"
    assert annotations_of(server) == {}


async def test_others_labels_and_data_stay(server: ApiServer, client: AsyncClient) -> None:
    kept: dict[str, Any] = {
        "metadata": {"name": KEY[2], "namespace": "shop", "labels": {"team": "shop"}},
        "data": {"note": "é"},
    }
    server.put(KEY[0], kept)

    async with store(client).hold():
        pass
    mine = store(client)
    async with mine.hold():
        await mine.save({"step": 1})

    assert server.objects[KEY]["metadata"]["labels"] == {"team": "shop"}
    assert server.objects[KEY]["data"]["note"] == "é"
    assert await mine.load() == {"step": 1}


async def test_an_expired_lease_can_be_taken(server: ApiServer, client: AsyncClient) -> None:
    """It expires by the clock of the process that waits, whatever time the holder wrote."""
    for renewed in ("1999-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00", "?"):
        server.objects.clear()
        dead = DEAD | {"tallykv-rollout/renewed": renewed}
        metadata = {"name": KEY[2], "namespace": "shop", "annotations": dead}
        server.put(KEY[0], {"metadata": metadata})
        clock = asyncio.get_running_loop().time
        began = clock()

        mine = store(client)
        async with mine.hold():
            assert clock() - began >= 0.3
            await mine.save({"step": 1})


async def test_of_two_that_wait_one_is_refused(server: ApiServer, client: AsyncClient) -> None:
    metadata = {"name": KEY[2], "namespace": "shop", "annotations": DEAD}
    server.put(KEY[0], {"metadata": metadata})
    refused = asyncio.Event()

    async def run() -> str:
        try:
            async with store(client).hold():
                await asyncio.wait_for(refused.wait(), 60)
                return "ran"
        except StateHeld:
            refused.set()
            return "refused"

    assert sorted(await asyncio.gather(run(), run())) == ["ran", "refused"]


async def test_a_holder_that_can_not_renew_is_stopped_before_its_lease_expires(
    server: ApiServer, client: AsyncClient
) -> None:
    began = asyncio.get_running_loop().time()

    with pytest.raises(StateHeld, match="the hold on ConfigMap shop/tallykv-rollout-kv is lost"):
        await hold_and(client, lambda: setattr(server, "faults", Faults(status=503)), SHORT)

    assert asyncio.get_running_loop().time() - began < SHORT.duration_seconds


async def test_a_former_holder_can_not_save(server: ApiServer, client: AsyncClient) -> None:
    mine = store(client, LeaseTimes(duration_seconds=60, renew_seconds=50))
    async with mine.hold():
        await mine.save({"step": 1})
        take_over(server)

        with pytest.raises(StateHeld, match="but by process 2 on other"):
            await mine.save({"step": 2})

    assert await mine.load() == {"step": 1}
    assert annotations_of(server)["tallykv-rollout/holder"] == "process 2 on other"


async def test_a_former_holder_is_stopped(server: ApiServer, client: AsyncClient) -> None:
    with pytest.raises(StateHeld, match="process 2 on other"):
        await hold_and(client, lambda: take_over(server), LEASE)


async def test_a_deleted_state_is_not_written_again_by_its_runner(
    server: ApiServer, client: AsyncClient
) -> None:
    mine = store(client, LeaseTimes(duration_seconds=60, renew_seconds=50))
    async with mine.hold():
        server.objects.clear()
        with pytest.raises(StateHeld, match="it was deleted"):
            await mine.save({"step": 2})

    assert server.objects == {}


async def test_a_cancelled_holder_releases_the_lease(
    server: ApiServer, client: AsyncClient
) -> None:
    held = asyncio.Event()

    async def run() -> None:
        async with store(client).hold():
            held.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await held.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert annotations_of(server) == {}


async def test_concurrent_writes_are_not_lost(server: ApiServer, client: AsyncClient) -> None:
    mine, person = store(client), store(client)
    seen: list[str] = []

    def race(_: ApiServer, asked: ReceivedRequest) -> None:
        if "state.json" in asked.body.get("data", {}) and len(seen) < 3:
            seen.append("raced")
            server.edit(*KEY, lambda found: found["data"].update({f"other-{len(seen)}": "kept"}))

    async with mine.hold():
        await mine.save({"step": 1})
        server.before_patch = race
        await mine.save({"step": 2})
        await person.send_command(ControlCommand.PAUSE)

    data = server.objects[KEY]["data"]
    assert seen == ["raced"] * 3
    assert {"other-1", "other-2", "other-3", "order.json"} <= data.keys()
    assert await mine.load() == {"step": 2}


async def test_an_event_whose_response_was_lost_is_kept_once(
    server: ApiServer, client: AsyncClient
) -> None:
    mine = store(client)
    await mine.record({"number": 1})
    server.faults = Faults(reset=True, after_applying=True, methods=frozenset({"PATCH"}), times=1)

    await mine.record({"number": 2})

    assert events_of(server) == [{"number": 1}, {"number": 2}]


async def test_of_the_history_the_last_two_hundred_stay(
    server: ApiServer, client: AsyncClient
) -> None:
    lines = "".join(f'{{"number": {each}}}\n' for each in range(200))
    metadata = {"name": KEY[2], "namespace": "shop"}
    server.put(KEY[0], {"metadata": metadata, "data": {"events.jsonl": lines}})
    mine = store(client)

    await mine.record({"number": 200})

    assert [each["number"] for each in events_of(server)] == list(range(1, 201))


@pytest.mark.parametrize("verb", ["get", "create"])
async def test_a_missing_permission_is_reported(
    server: ApiServer, client: AsyncClient, verb: str
) -> None:
    server.forbidden = {(verb, "configmaps")}

    with pytest.raises(StateFailed, match="you may get, create and patch configmaps in shop"):
        async with store(client).hold():
            pytest.fail("held nothing")


async def test_an_unavailable_api_server_is_reported(
    server: ApiServer, client: AsyncClient
) -> None:
    server.faults = Faults(status=503)

    with pytest.raises(StateFailed, match="check that the API server answers"):
        await store(client, retry_seconds=0.5).load()
