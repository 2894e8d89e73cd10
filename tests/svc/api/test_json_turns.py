"""Large documents are parsed one at a time, and other requests are served between their steps."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Generator
from time import perf_counter
from typing import Any

import pytest

from svc.api.json_turns import LARGE_JSON_BYTES, STEP_SECONDS, JsonTurns
from svc.api.strict_json import MAX_NODES
from tests.conftest import Backend
from tests.svc.api.client import Api, problem

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

JSON = {"Content-Type": "application/json"}
PATCH = {"Content-Type": "application/merge-patch+json"}
LARGE = LARGE_JSON_BYTES + 1


@pytest.fixture
def backend(one_backend: Backend) -> Backend:
    """What is refused here is refused before the store is asked."""
    return one_backend


def steps(name: str, log: list[str], count: int = 3) -> Generator[None, None, str]:
    """Note each step, which takes longer than is run without a pause."""
    for _ in range(count):
        log.append(name)
        until = perf_counter() + STEP_SECONDS
        while perf_counter() < until:
            pass
        yield
    return name


def failing() -> Generator[None, None, str]:
    yield
    raise ValueError("wrong")


async def test_large_documents_take_turns_and_small_ones_do_not_wait() -> None:
    turns, log = JsonTurns(), list[str]()

    results = await asyncio.gather(
        turns.run(LARGE, steps("a", log)),
        turns.run(LARGE, steps("b", log)),
        turns.run(LARGE_JSON_BYTES, steps("small", log)),
    )

    assert list(results) == ["a", "b", "small"]
    assert log == ["a", "small", "small", "small", "a", "a", "b", "b", "b"]


async def test_others_run_between_the_steps() -> None:
    turns, log = JsonTurns(), list[str]()
    parsing = asyncio.create_task(turns.run(LARGE, steps("a", log)))

    while not parsing.done():
        log.append("-")
        await asyncio.sleep(0)

    assert log.count("a") == 3
    # Another request needs several turns of the loop, so there are several between two steps.
    assert all(len(pause) > 3 for pause in "".join(log).strip("-").split("a")[1:-1])


@pytest.mark.parametrize("size", [1, LARGE])
async def test_a_refusal_ends_the_turn_and_leaves_the_collector_on(size: int) -> None:
    turns = JsonTurns()

    for _ in range(2):
        with pytest.raises(ValueError, match="wrong"):
            await turns.run(size, failing())

    assert gc.isenabled()
    assert await turns.run(size, steps("a", [])) == "a"


async def test_a_request_that_is_cancelled_gives_its_turn_back() -> None:
    turns = JsonTurns()
    parsing = asyncio.create_task(turns.run(LARGE, steps("a", [], 1000)))
    waiting = asyncio.create_task(turns.run(LARGE, steps("b", [])))
    await asyncio.sleep(0)

    parsing.cancel()
    await asyncio.wait([parsing])

    assert parsing.cancelled()
    assert await waiting == "b"


def documents(most: int) -> dict[str, bytes]:
    """Documents of ``most`` nodes."""
    return {
        "arrays": b'{"v":[' + b",".join([b"[]"] * (most - 3)) + b"]}",
        "objects": b'{"v":[' + b",".join([b'{"a":1}'] * ((most - 3) // 2)) + b"]}",
        "members": b'{"v":{' + b",".join(b'"%x":[[]]' % i for i in range((most - 3) // 3)) + b"}}",
    }


async def write(api: Api, body: bytes) -> Any:
    return await api.put("/v1/kv/a", body, headers=JSON)


async def write_plain(api: Api, body: bytes) -> Any:
    return await api.put("/a", body)


async def change(api: Api, body: bytes) -> Any:
    assert (await api.put("/v1/kv/a", b"{}", headers=JSON)).status in {200, 201}
    return await api.patch("/v1/kv/a", body, headers=PATCH)


@pytest.mark.parametrize("send", [write, write_plain, change])
@pytest.mark.parametrize("kind", documents(9))
async def test_a_document_has_at_most_so_many_nodes(api: Api, send: Any, kind: str) -> None:
    fine, too_many = documents(MAX_NODES)[kind], documents(MAX_NODES + 6)[kind]

    assert (await send(api, fine)).status in {200, 201}
    said = problem(await send(api, too_many), 400, "body_invalid")
    assert f"at most {MAX_NODES} are allowed" in said["detail"]


async def test_a_value_that_grows_by_patches_keeps_the_limit(api: Api) -> None:
    half = documents(MAX_NODES * 2 // 3)["arrays"]
    assert (await api.put("/v1/kv/a", half, headers=JSON)).status == 201

    answer = await api.patch("/v1/kv/a", half.replace(b'"v"', b'"w"'), headers=PATCH)

    assert "at most" in problem(answer, 400, "body_invalid")["detail"]


async def test_a_value_of_a_batch_with_too_many_nodes_is_refused_alone(api: Api) -> None:
    fine, too_many = documents(MAX_NODES)["arrays"], documents(MAX_NODES + 6)["arrays"]
    puts = [b'{"op":"put","key":"k%d","value":%b}' % (i, v) for i, v in enumerate((fine, too_many))]

    answer = await api.post("/v1/batch", b'{"operations":[' + b",".join(puts) + b"]}")

    assert [each["status"] for each in answer.json()["results"]] == [201, 400]


@pytest.mark.parametrize("padding", ["", "x" * LARGE])
async def test_a_duplicate_key_in_a_value_refuses_its_operation_and_others_the_batch(
    api: Api, padding: str
) -> None:
    pad = json.dumps(padding).encode()
    value = b'{"op":"put","key":"a","value":{"b":%b,"b":2}},{"op":"put","key":"c","value":1}' % pad
    answer = await api.post("/v1/batch", b'{"operations":[' + value + b"]}")
    assert [each["status"] for each in answer.json()["results"]] == [400, 201]

    for operations in (
        b'{"operations":[{"op":"put","key":"d","value":%b,"value":2}]}' % pad,
        b'{"operations":[],"operations":[{"op":"put","key":"d","value":%b}]}' % pad,
        b'{"operations":[{"op":"put","key":"d","value":%b,"k\\u0065y":"e"}]}' % pad,
    ):
        problem(await api.post("/v1/batch", operations), 400, "body_invalid")
    assert await api.keys() == ["c"]
