"""Faults of the runners, of Prometheus, of clocks, and people who change the routes."""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.frame.rows import Row, at_most
from tests.rollout.cli.example_service import step
from tests.rollout.cluster.virtual_services import COLLECTION
from tests.rollout.faults.api_faults import Bench, during, let_pass, tell
from tests.rollout.faults.outcome import rows_of
from tests.rollout.faults.runners import Runner
from tests.rollout.faults.world import NAMESPACE, ROUTES, World
from tests.support.api_faults import Faults
from tests.support.waiting import until


def two_runners(bench: Bench) -> Iterator[Row]:
    """On two machines: the second is refused, and takes over when the first one is frozen."""
    world = bench.world
    for title, one, other in (
        ("state in the cluster", [], []),
        (
            "a directory each",
            ["--state", str(world.directory / f"one-{time.monotonic_ns()}")],
            ["--state", str(world.directory / f"two-{time.monotonic_ns()}")],
        ),
    ):
        world.reset()
        first = bench.nursery.start(*one)
        world.wait_for_share(50)
        tell(bench, "pause", *one)
        second = bench.nursery.start(*other)
        refused = second.wait()
        yield Row(f"{title}: a second runner is not refused", int(refused != 2), "", at_most(0))
        assert "runs the rollout" in second.errors.read_text(), second.errors.read_text()
        first.signal(signal.SIGSTOP)
        world.break_canary()
        frozen = time.monotonic()
        third = bench.nursery.start(*other)
        third.wait()
        lasted = time.monotonic() - frozen
        first.signal(signal.SIGCONT)
        if one:
            # Its own state says that the rollout goes on, and the routes say something else.
            until(partial(_has_seen_drift, first), seconds=120, what="the drift")
            if not first.has_ended:
                tell(bench, "abort", *one)
        code = first.wait()
        held = world.share
        told = first.errors.read_text()
        yield Row(f"{title}: requests to the failing canary", held or 0, "%", at_most(0))
        yield Row(
            f"{title}: taken over after a freeze", lasted, "s", at_most(40), f"then exit {code}"
        )
        yield Row(
            f"{title}: the thawed runner wrote",
            int(code not in {1, 2} or "Traceback" in told),
            "times",
            at_most(0),
            told.strip().splitlines()[-1][:120] if told.strip() else "",
        )
        bench.nursery.stop_all()


def _has_seen_drift(runner: Runner) -> bool:
    return runner.has_ended or "drift" in runner.errors.read_text()


def prometheus(bench: Bench, seconds: float) -> Iterator[Row]:
    world = bench.world

    def put(name: str, value: Any) -> Callable[[], None]:
        return lambda: setattr(world.prometheus, name, value)

    yield from during(bench, "away", seconds, put("is_away", True), put("is_away", False))
    yield from during(bench, "lies", seconds, put("lies", True), put("lies", False))
    yield from during(bench, "lags", seconds, put("lag_seconds", 4.0), put("lag_seconds", 0.0))
    yield from during(bench, "restarted", seconds, put("is_empty", True), put("is_empty", False))


def clocks(bench: Bench) -> Iterator[Row]:
    """Prometheus and the API server have other clocks than the runner, which is resumed too."""
    world = bench.world
    for skew in (120.0, -120.0):
        for is_bad in (True, False):
            world.reset()
            world.server.skew_seconds = world.prometheus.skew_seconds = skew
            first = bench.nursery.start()
            world.wait_for_share(50)
            first.signal(signal.SIGKILL)
            first.wait()
            if is_bad:
                world.break_canary()
            second = bench.nursery.start()
            second.wait()
            assert "clock is 1" in second.errors.read_text(), second.errors.read_text()
            title = f"{skew:+g} s, {'bad' if is_bad else 'good'}"
            yield from rows_of(title, world)


def routes(bench: Bench, seconds: float) -> Iterator[Row]:
    """Somebody edits the weights, deletes the routes, and applies manifests again."""
    world = bench.world

    def weights(document: dict[str, Any]) -> None:
        for entry, weight in zip(document["spec"]["http"][0]["route"], (40, 60), strict=True):
            entry["weight"] = weight

    before: list[dict[str, Any]] = []

    def edit() -> None:
        before.append(copy.deepcopy(world.service.document["spec"]))
        world.edit_routes(weights)

    def restore() -> None:
        # A bad release has gone back meanwhile.
        if world.share == 60:
            world.edit_routes(lambda document: document.update(spec=before[-1]))

    def delete() -> None:
        before.append(copy.deepcopy(world.service.document))
        _remove(world)

    def apply() -> None:
        world.call(_put(world, before[-1]))

    yield from during(bench, "edited and restored", seconds, edit, restore)
    yield from during(bench, "deleted and restored", seconds, delete, apply)

    world.reset()
    runner = bench.nursery.start()
    world.wait_for_share(50)
    tell(bench, "pause")
    # Before the step is confirmed, the runner would say that it was undone, and stay at 0.
    until(lambda: world.state().get("step") == 1, seconds=120, what="the step")
    # As `kubectl apply` of the first step does.
    spec = step(NAMESPACE, 0)["spec"]
    world.edit_routes(lambda document: document.update(spec=spec))
    until(lambda: "drift" in world.state().get("held", ""), seconds=120, what="the drift")
    tell(bench, "abort")
    runner.wait()
    yield from rows_of("first step applied, then aborted", world)


def aborted(bench: Bench, seconds: float) -> Iterator[Row]:
    """A person aborts while the API server refuses to change the routes."""
    world = bench.world
    for title, share in (("at 0 %", 0), ("at 50 %", 50)):
        world.reset()
        runner = bench.nursery.start()
        world.wait_for_share(share)
        until(lambda: bool(world.state()), seconds=120, what="the state")
        tell(bench, "pause")
        world.service.errors["canary"] = 0.0
        world.server.faults = Faults(
            status=503, plurals=frozenset({"virtualservices"}), methods=frozenset({"PATCH", "GET"})
        )
        tell(bench, "abort")
        let_pass(seconds)
        world.server.faults = None
        code = runner.wait()
        yield Row(f"aborted {title}: exit code", abs(code - 1), "off", at_most(0))
        yield from rows_of(f"aborted {title}", world, seconds)


async def _put(world: World, document: dict[str, Any]) -> None:
    world.server.put(COLLECTION, document)


def _remove(world: World) -> None:
    async def remove() -> None:
        world.server.remove(*ROUTES)

    world.call(remove())
