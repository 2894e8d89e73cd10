"""The contract of a state store, on each implementation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout.cluster.config_map_state import ConfigMapStateStore
from rollout.cluster.lease import Lease, LeaseTimes
from rollout.cluster.leased_state import LeasedStateStore
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.state_store import (
    CommandRefused,
    ControlCommand,
    StateCorrupt,
    StateFailed,
    StateHeld,
    StateStore,
    StateUnknown,
)
from tests.rollout.cluster.virtual_services import Json
from tests.support.api_server import ApiServer

#: Long enough for a busy machine; renewed often, so that others see a renewal soon.
LEASE = LeaseTimes(duration_seconds=180, renew_seconds=0.05)
CONFIG_MAP = ("/v1/configmaps", "shop", "tallykv-rollout-kv")
#: Opens the same store open_store, as another process would do.
OpenStore = Callable[[], StateStore]


class Storage:
    """The files or data keys of a store, to read and damage them."""

    def __init__(self, directory: Path, server: ApiServer | None) -> None:
        self._directory = directory
        self._server = server

    def read(self, name: str) -> str:
        if self._server is None:
            return (self._directory / name).read_text()
        return str(self._server.objects[CONFIG_MAP]["data"][name])

    def write(self, name: str, text: str) -> None:
        if self._server is None:
            self._directory.mkdir(exist_ok=True)
            (self._directory / name).write_text(text)
        elif CONFIG_MAP in self._server.objects:
            self._server.edit(*CONFIG_MAP, lambda found: found["data"].update({name: text}))
        else:
            made: Json = {"metadata": {"name": CONFIG_MAP[2], "namespace": "shop"}}
            self._server.put(CONFIG_MAP[0], made | {"data": {name: text}})


@pytest.fixture(params=["directory", "config-map"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[OpenStore, Storage]:
    directory = tmp_path / "rollout"
    if request.param == "directory":
        return (lambda: DirectoryStateStore(directory)), Storage(directory, None)
    server = request.getfixturevalue("server")
    client = request.getfixturevalue("client")

    def open_store() -> StateStore:
        store = ConfigMapStateStore(client, "shop", "kv", retry_seconds=60, backoff_seconds=0.01)
        return LeasedStateStore(store, Lease(client, "shop", "kv", LEASE))

    return open_store, Storage(directory, server)


@pytest.fixture
def open_store(stores: tuple[OpenStore, Storage]) -> OpenStore:
    return stores[0]


@pytest.fixture
def storage(stores: tuple[OpenStore, Storage]) -> Storage:
    return stores[1]


async def test_a_new_store_is_empty(open_store: OpenStore) -> None:
    store = open_store()

    assert await store.load() is None
    assert await store.pending_command() is None


async def test_the_state_saved_last_is_loaded(open_store: OpenStore) -> None:
    store = open_store()
    async with store.hold():
        await store.save({"step": 1, "text": "é\n"})
        await store.save({"step": 2, "nested": {"a": [1.5, None]}})

    assert await open_store().load() == {"step": 2, "nested": {"a": [1.5, None]}}


async def test_only_a_holder_saves(open_store: OpenStore) -> None:
    store = open_store()
    async with open_store().hold():
        with pytest.raises(StateFailed):
            await store.save({"step": 1})
    with pytest.raises(StateFailed):
        await store.save({"step": 1})

    assert await store.load() is None


async def test_a_second_runner_is_refused_and_the_holder_is_named(open_store: OpenStore) -> None:
    async with asyncio.timeout(LEASE.duration_seconds / 3), open_store().hold():
        with pytest.raises(StateHeld, match=r"process \d+ on .* runs the rollout"):
            async with open_store().hold():
                pytest.fail("two runners")


async def test_a_hold_ends_with_its_block_also_on_failure(open_store: OpenStore) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_store().hold():
            raise ZeroDivisionError

    store = open_store()
    async with store.hold():
        await store.save({"step": 1})


async def test_what_is_not_json_is_not_saved(open_store: OpenStore) -> None:
    store = open_store()
    async with store.hold():
        await store.save({"step": 1})
        for wrong in ({"at": float("nan")}, {"at": {1, 2}}):
            with pytest.raises((ValueError, TypeError)):
                await store.save(wrong)

    assert await store.load() == {"step": 1}


@pytest.mark.parametrize("order", list(ControlCommand))
async def test_an_order_stands_until_it_is_obeyed(
    open_store: OpenStore, order: ControlCommand
) -> None:
    await open_store().send_command(order)
    store = open_store()

    given = await store.pending_command()
    assert given is not None
    assert given.command is order
    assert await store.pending_command() == given

    await store.acknowledge(given)
    assert await open_store().pending_command() is None
    await store.acknowledge(given)


async def test_a_newer_order_is_not_taken_for_the_old_one(open_store: OpenStore) -> None:
    runner, person = open_store(), open_store()
    await person.send_command(ControlCommand.PAUSE)
    first = await runner.pending_command()
    await person.send_command(ControlCommand.PAUSE)

    assert first is not None
    await runner.acknowledge(first)

    second = await runner.pending_command()
    assert second is not None
    assert second != first


async def test_an_abort_can_not_be_taken_back(open_store: OpenStore) -> None:
    store = open_store()
    await store.send_command(ControlCommand.PAUSE)
    await store.send_command(ControlCommand.ABORT)
    for order in (ControlCommand.PAUSE, ControlCommand.RESUME):
        with pytest.raises(CommandRefused, match="an abort is pending"):
            await store.send_command(order)
    await store.send_command(ControlCommand.ABORT)

    given = await store.pending_command()
    assert given is not None
    assert given.command is ControlCommand.ABORT


async def test_events_are_kept_in_their_order(open_store: OpenStore, storage: Storage) -> None:
    store = open_store()
    for number in range(5):
        await store.record({"number": number, "said": "two\nlines"})

    recorded = storage.read("events.jsonl").splitlines()
    assert [json.loads(line)["number"] for line in recorded] == [0, 1, 2, 3, 4]


async def test_a_verdict_is_recorded_once_for_each_rollout(
    open_store: OpenStore, storage: Storage
) -> None:
    started = {"rollout": "kv", "kind": "started", "time": 1.0}
    verdict = {"rollout": "kv", "kind": "rolled_back", "number": 0, "reason": "aborted"}
    worded = [verdict | {"time": 2.0 + each, "detail": "x" * 5000 * each} for each in range(3)]
    other = verdict | {"reason": "silent"}

    again = started | {"time": 9.0}

    for event in (started, worded[1], worded[2], worded[0], other, again, worded[0]):
        # Each by a runner that knows nothing of the one before.
        await open_store().record(event)

    recorded = [json.loads(line) for line in storage.read("events.jsonl").splitlines()]
    assert recorded == [started, worded[1], other, again, worded[0]]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"state": {}}', '{"schema": 1}', '{"schema": 1, "state": []}', "\x00"],
)
async def test_a_damaged_state_is_reported_and_kept(
    open_store: OpenStore, storage: Storage, text: str
) -> None:
    storage.write("state.json", text)

    for _ in range(2):
        with pytest.raises(StateCorrupt, match=r"state\.json.*is damaged; run with --again"):
            await open_store().load()


@pytest.mark.parametrize("schema", [0, 2, "1"])
async def test_another_schema_is_refused(
    open_store: OpenStore, storage: Storage, schema: object
) -> None:
    quoted = f'"{schema}"' if isinstance(schema, str) else schema
    storage.write("state.json", f'{{"schema": {quoted}, "state": {{}}}}')

    with pytest.raises(
        StateUnknown, match="this version knows schema 1; continue with the version"
    ):
        await open_store().load()


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 1, "order": "stop", "token": "a"}'])
async def test_a_damaged_order_is_told_and_can_be_given_again(
    open_store: OpenStore, storage: Storage, text: str
) -> None:
    storage.write("order.json", text)
    store = open_store()

    with pytest.raises(StateCorrupt, match="is no command; send it again"):
        await store.pending_command()
    await store.send_command(ControlCommand.ABORT)

    given = await store.pending_command()
    assert given is not None
    assert given.command is ControlCommand.ABORT
