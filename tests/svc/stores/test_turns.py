"""Large operations of the store begin a few at a time."""

from __future__ import annotations

import asyncio

import pytest

from svc.domain.errors import StoreUnavailable
from svc.stores.turns import AT_ONCE, LARGE_BYTES, Turns


def soon(seconds: float = 60.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_large_operations_begin_in_order_and_a_few_at_once() -> None:
    turns, running, most, log = Turns(), 0, 0, list[int]()

    async def operation(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        log.append(number)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        return number

    async def run(number: int) -> int:
        return await turns.run(LARGE_BYTES, soon(), lambda _: operation(number))

    assert await asyncio.gather(*map(run, range(20))) == log == list(range(20))
    assert most == AT_ONCE


async def test_small_operations_do_not_wait_for_large_ones() -> None:
    turns, never = Turns(), asyncio.Event()
    waiting = [
        asyncio.create_task(turns.run(LARGE_BYTES, soon(), lambda _: never.wait()))
        for _ in range(AT_ONCE + 1)
    ]
    await asyncio.sleep(0)

    async def small(deadline: float) -> float:
        return deadline

    assert await turns.run(LARGE_BYTES - 1, 7.0, small) == 7.0
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)


async def test_a_server_that_does_not_answer_holds_up_the_next_ones_only_for_a_time() -> None:
    turns, never, begun = Turns(), asyncio.Event(), 0

    async def operation(_: float) -> None:
        nonlocal begun
        begun += 1
        await never.wait()

    waiting = [
        asyncio.create_task(turns.run(LARGE_BYTES, soon(), operation)) for _ in range(3 * AT_ONCE)
    ]
    async with asyncio.timeout(60):
        while begun < len(waiting):  # noqa: ASYNC110 - it counts
            await asyncio.sleep(0.01)

    never.set()
    await asyncio.gather(*waiting)


async def test_an_operation_whose_turn_does_not_come_in_time_is_refused() -> None:
    turns, never = Turns(), asyncio.Event()
    first = [
        asyncio.create_task(turns.run(LARGE_BYTES, soon(), lambda _: never.wait()))
        for _ in range(AT_ONCE)
    ]
    await asyncio.sleep(0)

    with pytest.raises(StoreUnavailable):
        await turns.run(LARGE_BYTES, soon(0), lambda _: never.wait())

    never.set()
    await asyncio.gather(*first)
    assert await turns.run(LARGE_BYTES, soon(), lambda _: never.wait())


async def test_a_failure_or_a_cancelled_caller_gives_the_turn_back() -> None:
    turns, never = Turns(), asyncio.Event()

    async def fail(_: float) -> None:
        raise ValueError("wrong")

    for _ in range(2 * AT_ONCE):
        with pytest.raises(ValueError, match="wrong"):
            await turns.run(LARGE_BYTES, soon(), fail)
        task = asyncio.create_task(turns.run(LARGE_BYTES, soon(), lambda _: never.wait()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    never.set()
    assert await turns.run(LARGE_BYTES, soon(), lambda _: never.wait())
