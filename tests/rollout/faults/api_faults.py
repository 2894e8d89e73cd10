"""Faults of the API server, of its objects and of the credentials."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.frame.rows import Row
from rollout.__main__ import main
from tests.rollout.faults.outcome import rows_of
from tests.rollout.faults.runners import Nursery
from tests.rollout.faults.world import LEASE, ROUTES, STATE, World
from tests.support.api_faults import Faults, Stage
from tests.support.api_server import TOKEN
from tests.support.waiting import until


@dataclass(frozen=True)
class Bench:
    """What an experiment uses; ``scale`` shortens how long faults last."""

    world: World
    nursery: Nursery


def during(
    bench: Bench, title: str, seconds: float, begin: Callable[[], None], end: Callable[[], None]
) -> Iterator[Row]:
    """Run a good and a bad release with a fault at 50 %; the bad one turns bad with the fault."""
    for is_bad in (True, False):
        bench.world.reset()
        runner = bench.nursery.start()
        bench.world.wait_for_share(50)
        began = time.monotonic()
        begin()
        if is_bad:
            bench.world.break_canary()
        let_pass(seconds)
        end()
        lasted = time.monotonic() - began
        runner.wait()
        yield from rows_of(f"{title}, {'bad' if is_bad else 'good'}", bench.world, lasted)
        bench.nursery.stop_all()


def let_pass(seconds: float) -> None:
    """Return when so much real time has passed."""
    over = time.monotonic() + seconds
    until(lambda: time.monotonic() >= over, seconds=seconds + 60, what="the fault's time")


def away(bench: Bench, seconds: float) -> Iterator[Row]:
    world = bench.world
    yield from during(bench, f"away {seconds:g} s", seconds, world.stop_api, world.start_api)


def starting(bench: Bench, seconds: float) -> Iterator[Row]:
    """After the outage it hangs, forbids everything, and lacks custom resources."""
    stages = ((Stage.HANGING, 2.0), (Stage.NOT_LOADED, 1.0), (Stage.INSTALLING, 3.0))
    yield from during(
        bench,
        f"away {seconds:g} s, then starts in stages",
        seconds,
        bench.world.stop_api,
        lambda: bench.world.start_api(*stages),
    )


def slow(bench: Bench, latency_seconds: float, seconds: float) -> Iterator[Row]:
    server = bench.world.server
    yield from during(
        bench,
        f"slow by {latency_seconds:g} s each way",
        seconds,
        lambda: setattr(server, "latency_seconds", latency_seconds),
        lambda: setattr(server, "latency_seconds", 0.0),
    )


def refusing(bench: Bench, status: int, seconds: float) -> Iterator[Row]:
    server = bench.world.server
    yield from during(
        bench,
        f"answers {status}",
        seconds,
        lambda: setattr(server, "faults", Faults(status=status)),
        lambda: setattr(server, "faults", None),
    )


def conflicts(bench: Bench, seconds: float) -> Iterator[Row]:
    """Somebody writes annotations of all objects every few milliseconds."""
    world = bench.world
    writing: list[asyncio.Task[None]] = []

    def annotate(note: str, found: dict[str, Any]) -> None:
        found["metadata"].setdefault("annotations", {})["busy"] = note

    async def write() -> None:
        number = 0
        while True:
            await asyncio.sleep(0.005)
            number += 1
            for key in (ROUTES, STATE, LEASE):
                with contextlib.suppress(KeyError):
                    world.server.edit(*key, partial(annotate, str(number)))

    async def begin() -> None:
        writing.append(asyncio.get_running_loop().create_task(write()))

    async def end() -> None:
        writing.pop().cancel()

    yield from during(
        bench,
        "a busy writer",
        seconds,
        lambda: world.call(begin()),
        lambda: world.call(end()),
    )


def expired_token(bench: Bench, seconds: float) -> Iterator[Row]:
    """The token expires; later the kubeconfig has a new one."""
    world = bench.world

    def renew() -> None:
        world.server.kubeconfig(bench.nursery.kubeconfig, token="renewed")  # noqa: S106

    yield from during(
        bench,
        "the token expires and is renewed",
        seconds,
        lambda: setattr(world.server, "tokens", {"renewed"}),
        renew,
    )
    world.server.tokens = {TOKEN}
    world.server.kubeconfig(bench.nursery.kubeconfig)


def state_objects(bench: Bench, seconds: float) -> Iterator[Row]:
    """The state and the lease are filled, frozen, deleted, damaged, and repaired by one command."""
    world = bench.world

    def edit(key: tuple[str, str, str], **fields: object) -> Callable[[], None]:
        async def change() -> None:
            world.server.edit(*key, lambda found: found.update(fields))

        return lambda: world.call(change())

    def data(**values: str) -> Callable[[], None]:
        async def change() -> None:
            world.server.edit(*STATE, lambda found: found["data"].update(values))

        return lambda: world.call(change())

    def delete(key: tuple[str, str, str]) -> Callable[[], None]:
        async def remove() -> None:
            world.server.remove(*key)

        return lambda: world.call(remove())

    def nothing() -> None: ...

    size = 1024 * 1024
    for title, begin, end in (
        (
            "state full",
            data(other="x" * (size - 400_000), more="x" * 380_000),
            data(other="", more=""),
        ),
        ("state immutable", edit(STATE, immutable=True), delete(STATE)),
        ("state deleted", delete(STATE), nothing),
        ("state damaged", data(**{"state.json": "{"}), nothing),
        ("order damaged", data(**{"order.json": "{"}), nothing),
        ("holder removed", edit(LEASE, spec={}), nothing),
        ("lease deleted", delete(LEASE), nothing),
    ):
        yield from during(bench, title, seconds, begin, end)


def tell(bench: Bench, command: str, *more: str) -> None:
    """Send a command as a person does."""
    code = main([command, "shop/kv", "--kubeconfig", str(bench.nursery.kubeconfig), *more])
    assert code == 0, command
