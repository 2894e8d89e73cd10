"""A state in a ConfigMap: races, a full, immutable or deleted one, and no API server."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.config_map_state import ConfigMapStateStore
from rollout.runner.state_store import ControlCommand, StateFailed, StateTaken
from tests.support.api_faults import Faults
from tests.support.api_objects import ReceivedRequest
from tests.support.api_server import ApiServer

KEY: Final = ("/v1/configmaps", "shop", "tallykv-rollout-kv")


def store(client: AsyncClient, retry_seconds: float = 60) -> ConfigMapStateStore:
    return ConfigMapStateStore(
        client, "shop", "kv", retry_seconds=retry_seconds, backoff_seconds=0.01
    )


def events_of(server: ApiServer) -> list[dict[str, Any]]:
    lines: str = server.objects[KEY]["data"]["events.jsonl"]
    return [json.loads(line) for line in lines.splitlines()]


async def test_others_labels_and_data_stay(server: ApiServer, client: AsyncClient) -> None:
    kept: dict[str, Any] = {
        "metadata": {"name": KEY[2], "namespace": "shop", "labels": {"team": "shop"}},
        "data": {"note": "é"},
    }
    server.put(KEY[0], kept)

    mine = store(client)
    async with mine.hold():
        await mine.save({"step": 1})

    assert server.objects[KEY]["metadata"]["labels"] == {"team": "shop"}
    assert server.objects[KEY]["data"]["note"] == "é"
    assert await mine.load() == {"step": 1}


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


async def test_a_runner_that_was_frozen_does_not_repeat_the_verdict(
    server: ApiServer, client: AsyncClient
) -> None:
    frozen, mine = store(client), store(client)
    verdict = {"kind": "promoted", "rollout": "kv", "time": 1.0}
    await frozen.record({"kind": "started", "rollout": "kv"})

    await mine.record(verdict)
    await frozen.record(verdict | {"time": 2.0})

    assert events_of(server) == [{"kind": "started", "rollout": "kv"}, verdict]


async def test_of_the_history_the_last_two_hundred_stay(
    server: ApiServer, client: AsyncClient
) -> None:
    lines = "".join(f'{{"number": {each}}}\n' for each in range(200))
    metadata = {"name": KEY[2], "namespace": "shop"}
    server.put(KEY[0], {"metadata": metadata, "data": {"events.jsonl": lines}})
    mine = store(client)

    await mine.record({"number": 200})

    assert [each["number"] for each in events_of(server)] == list(range(1, 201))


async def test_an_unavailable_api_server_is_reported(
    server: ApiServer, client: AsyncClient
) -> None:
    server.faults = Faults(status=503)

    with pytest.raises(StateFailed, match="see whether kubectl --namespace shop get configmaps"):
        await store(client, retry_seconds=0.5).load()


async def test_a_late_write_of_a_former_runner_is_refused(
    server: ApiServer, client: AsyncClient
) -> None:
    former, mine = store(client), store(client)
    async with former.hold(), mine.hold():
        await former.save({"step": 1})
        await mine.save({"step": 2})

        with pytest.raises(StateTaken, match="was written by another runner"):
            await former.save({"step": 3})
        await mine.save({"step": 4})

    assert await mine.load() == {"step": 4}


async def test_a_deleted_state_is_written_again(server: ApiServer, client: AsyncClient) -> None:
    mine = store(client)
    async with mine.hold():
        await mine.save({"step": 1})
        server.remove(*KEY)
        await mine.save({"step": 2})
        await mine.save({"step": 3})

    assert await store(client).load() == {"step": 3}


async def test_a_full_state_loses_its_history_before_it_refuses(
    server: ApiServer, client: AsyncClient
) -> None:
    mine = store(client)
    async with mine.hold():
        await mine.record({"note": "x" * 100_000})
        await mine.save({"step": 1})
        server.edit(*KEY, lambda found: found["data"].update(other="x" * 948_000))
        await mine.save({"step": 2, "more": "y" * 10_000})
        assert "events.jsonl" not in server.objects[KEY]["data"]
        server.edit(*KEY, lambda found: found["data"].update(other="x" * 1_030_000))
        with pytest.raises(StateFailed, match=r"data: Too long.*kubectl .* delete configmap"):
            await mine.save({"step": 3, "more": "y" * 30_000})


async def test_an_immutable_state_says_how_to_repair_it(
    server: ApiServer, client: AsyncClient
) -> None:
    mine = store(client)
    async with mine.hold():
        await mine.save({"step": 1})
        server.edit(*KEY, lambda found: found.update(immutable=True))
        with pytest.raises(StateFailed, match=r"immutable.*kubectl .* delete configmap"):
            await mine.save({"step": 2})

        server.remove(*KEY)
        await mine.save({"step": 2})

    assert await store(client).load() == {"step": 2}


@pytest.mark.parametrize("verb", ["get", "create"])
async def test_a_missing_permission_is_reported(
    server: ApiServer, client: AsyncClient, verb: str
) -> None:
    server.forbidden = {(verb, "configmaps")}
    mine = store(client)

    async with mine.hold():
        with pytest.raises(StateFailed, match="you need get and patch of it, and create if"):
            await mine.save({"step": 1})


async def test_a_state_is_usually_saved_with_one_request(
    server: ApiServer, client: AsyncClient
) -> None:
    mine = store(client)
    async with mine.hold():
        await mine.save({"step": 1})
        server.requests.clear()
        await mine.record({"kind": "window"})
        await mine.save({"step": 2})

    assert [each.method for each in server.requests] == ["PATCH"]
    assert events_of(server) == [{"kind": "window"}]
