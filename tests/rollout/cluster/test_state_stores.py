"""What a state store promises, on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout.cluster.config_map_state import ConfigMapStateStore
from rollout.cluster.lease import LeaseTimes
from rollout.runner.file_state import DirectoryState
from rollout.runner.state import (
    Order,
    OrderRefused,
    StateCorrupt,
    StateHeld,
    StateStore,
    StateUnknown,
)
from tests.rollout.cluster.virtual_services import Json
from tests.support.api_server import ApiServer

#: Long enough for a busy machine, and renewed so often that a second one sees it soon.
LEASE = LeaseTimes(duration_seconds=20, renew_seconds=0.05)
CONFIG_MAP = ("/v1/configmaps", "shop", "tallykv-rollout-kv")
#: Opens the same store again, as another process would.
Again = Callable[[], StateStore]


class Place:
    """Where a store keeps things, to be damaged."""

    def __init__(self, directory: Path, server: ApiServer | None) -> None:
        self._directory = directory
        self._server = server

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
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Again, Place]:
    directory = tmp_path / "rollout"
    if request.param == "directory":
        return (lambda: DirectoryState(directory)), Place(directory, None)
    server = request.getfixturevalue("server")
    client = request.getfixturevalue("client")

    def again() -> StateStore:
        return ConfigMapStateStore(
            client, "shop", "kv", lease=LEASE, retry_seconds=1, backoff_seconds=0.01
        )

    return again, Place(directory, server)


@pytest.fixture
def again(stores: tuple[Again, Place]) -> Again:
    return stores[0]


@pytest.fixture
def place(stores: tuple[Again, Place]) -> Place:
    return stores[1]


async def test_what_was_never_saved_is_nothing(again: Again) -> None:
    store = again()

    assert await store.load() is None
    assert await store.order() is None
    assert await store.events() == []


async def test_the_state_saved_last_is_loaded(again: Again) -> None:
    store = again()
    async with store.hold():
        await store.save({"step": 1, "text": "é\n"})
        await store.save({"step": 2, "nested": {"a": [1.5, None]}})

    assert await again().load() == {"step": 2, "nested": {"a": [1.5, None]}}


async def test_only_a_holder_saves(again: Again) -> None:
    store = again()
    async with again().hold():
        with pytest.raises(StateHeld):
            await store.save({"step": 1})
    with pytest.raises(StateHeld):
        await store.save({"step": 1})

    assert await store.load() is None


async def test_the_second_runner_is_refused_and_told_by_whom(again: Again) -> None:
    async with asyncio.timeout(LEASE.duration_seconds / 2), again().hold():
        with pytest.raises(StateHeld, match=r"process \d+ on .* runs the rollout"):
            async with again().hold():
                pytest.fail("two runners")


async def test_a_hold_ends_with_its_block_also_on_failure(again: Again) -> None:
    with pytest.raises(ZeroDivisionError):
        async with again().hold():
            raise ZeroDivisionError

    store = again()
    async with store.hold():
        await store.save({"step": 1})


async def test_what_is_not_json_is_not_saved(again: Again) -> None:
    store = again()
    async with store.hold():
        await store.save({"step": 1})
        for wrong in ({"at": float("nan")}, {"at": {1, 2}}):
            with pytest.raises((ValueError, TypeError)):
                await store.save(wrong)

    assert await store.load() == {"step": 1}


@pytest.mark.parametrize("order", list(Order))
async def test_an_order_stands_until_it_is_obeyed(again: Again, order: Order) -> None:
    await again().give_order(order)
    store = again()

    given = await store.order()
    assert given is not None
    assert given.order is order
    assert await store.order() == given

    await store.obeyed(given)
    assert await again().order() is None
    await store.obeyed(given)


async def test_a_newer_order_is_not_taken_for_the_old_one(again: Again) -> None:
    runner, person = again(), again()
    await person.give_order(Order.PAUSE)
    first = await runner.order()
    await person.give_order(Order.PAUSE)

    assert first is not None
    await runner.obeyed(first)

    second = await runner.order()
    assert second is not None
    assert second != first


async def test_an_abort_can_not_be_taken_back(again: Again) -> None:
    store = again()
    await store.give_order(Order.PAUSE)
    await store.give_order(Order.ABORT)
    for order in (Order.PAUSE, Order.RESUME):
        with pytest.raises(OrderRefused, match="an abort stands already"):
            await store.give_order(order)
    await store.give_order(Order.ABORT)

    given = await store.order()
    assert given is not None
    assert given.order is Order.ABORT


async def test_events_are_kept_in_their_order(again: Again) -> None:
    store = again()
    for number in range(5):
        await store.record({"number": number, "said": "two\nlines"})

    assert [each["number"] for each in await again().events()] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"state": {}}', '{"schema": 1}', '{"schema": 1, "state": []}', "\x00"],
)
async def test_a_damaged_state_is_told_and_kept(again: Again, place: Place, text: str) -> None:
    place.write("state.json", text)

    for _ in range(2):
        with pytest.raises(StateCorrupt, match=r"state\.json.*is damaged; .*to begin anew"):
            await again().load()


@pytest.mark.parametrize("schema", [0, 2, "1"])
async def test_another_schema_is_refused(again: Again, place: Place, schema: object) -> None:
    quoted = f'"{schema}"' if isinstance(schema, str) else schema
    place.write("state.json", f'{{"schema": {quoted}, "state": {{}}}}')

    with pytest.raises(StateUnknown, match="this release knows 1; go on with the release"):
        await again().load()


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 1, "order": "stop", "token": "a"}'])
async def test_a_damaged_order_is_told_and_can_be_given_again(
    again: Again, place: Place, text: str
) -> None:
    place.write("order.json", text)
    store = again()

    with pytest.raises(StateCorrupt, match="is no order; give it again"):
        await store.order()
    await store.give_order(Order.ABORT)

    given = await store.order()
    assert given is not None
    assert given.order is Order.ABORT


async def test_the_torn_end_of_the_history_is_left_out(again: Again, place: Place) -> None:
    place.write("events.jsonl", '{"a": 1}\n{"a": 2}\n{"a":')
    store = again()

    assert await store.events() == [{"a": 1}, {"a": 2}]


async def test_a_damaged_history_names_its_line(again: Again, place: Place) -> None:
    place.write("events.jsonl", '{"a": 1}\nwhat\n{"a": 2}\n')

    with pytest.raises(StateCorrupt, match=r"events\.jsonl.*:2 is damaged"):
        await again().events()
