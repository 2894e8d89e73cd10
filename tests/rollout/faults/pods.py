"""Faults of pods, for a plan that owns its workloads: each release is an image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bench.frame.rows import Row, at_most
from tests.rollout.faults.api_faults import Bench, let_pass
from tests.rollout.faults.kills import killed_at_each_write
from tests.rollout.faults.outcome import rows_of
from tests.rollout.faults.runners import running_nursery
from tests.rollout.faults.world import NAMESPACE, World
from tests.support.deployments import DEPLOYMENTS, DeploymentController, deployment

_PLAN: Final = "workloads: {stable: Deployment/kv-stable, canary: Deployment/kv-canary}\n"
_OLD: Final = "reg/kv:1"
_NEW: Final = "reg/kv:2"
_STABLE_PODS: Final = 4
#: When Kubernetes gives up on pods that don't get ready.
_DEADLINE_SECONDS: Final = 10
#: Shorter than that.
_EVICTED_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Workloads:
    """The Deployments of both releases, in a cluster to break."""

    world: World
    controller: DeploymentController

    def furnish(self) -> None:
        self.controller.trouble.clear()
        self.world.server.validate = None
        for track, pods in (("stable", _STABLE_PODS), ("canary", 0)):
            document = deployment(
                f"kv-{track}", NAMESPACE, track, _OLD, pods,
                progressDeadlineSeconds=_DEADLINE_SECONDS,
            )  # fmt: skip
            self.world.server.put(DEPLOYMENTS, document)

    def _deployment(self, track: str) -> dict[str, Any]:
        return self.world.server.objects[DEPLOYMENTS, NAMESPACE, f"kv-{track}"]

    def rows(self, title: str, fault_seconds: float = 0.0) -> Iterator[Row]:
        """Yield the rows of one rollout, also for its pods."""
        yield from rows_of(title, self.world, fault_seconds)
        broken = list(self.broken_promises())
        yield Row(
            f"{title}: pods not as they should be", len(broken), "", at_most(0), "; ".join(broken)
        )

    def broken_promises(self) -> Iterator[str]:
        """Yield what is wrong with the pods once the rollout has ended."""
        promoted = self.world.state().get("verdict") == "promoted"
        stable, canary = self._deployment("stable"), self._deployment("canary")
        image = stable["spec"]["template"]["spec"]["containers"][0]["image"]
        if image != (_NEW if promoted else _OLD):
            yield f"the stable pods run {image}"
        if stable["spec"]["replicas"] != _STABLE_PODS:
            yield f"{stable['spec']['replicas']} stable pods"
        if canary["spec"]["replicas"]:
            yield f"{canary['spec']['replicas']} pods of the canary are left"


@contextlib.contextmanager
def _owning_workloads(bench: Bench) -> Iterator[tuple[Bench, Workloads]]:
    controller = DeploymentController(bench.world.server)
    workloads = Workloads(bench.world, controller)
    bench.world.furnish = workloads.furnish
    try:
        with running_nursery(bench.world, _PLAN) as nursery, controller.running():
            yield Bench(bench.world, nursery), workloads
    finally:
        bench.world.furnish = lambda: None
        bench.world.server.validate = None


def pods(bench: Bench) -> Iterator[Row]:
    """The canary's pods never get ready, crash, are evicted; the stable ones refuse the release."""
    with _owning_workloads(bench) as (owning, workloads):
        yield from _never_ready(owning, workloads)
        yield from _evicted(owning, workloads)
        yield from _refused_by_stable(owning, workloads)


def _never_ready(bench: Bench, workloads: Workloads) -> Iterator[Row]:
    world = bench.world
    for tag in ("never", "crash", "evicted"):
        world.reset()
        bench.nursery.start("--image", f"reg/kv:{tag}").wait()
        title = {"never": "never ready", "crash": "crash loop", "evicted": "evicted"}[tag]
        yield from workloads.rows(title)
        most = max(world.service.history)
        yield Row(f"{title}: requests to a canary without pods", most, "%", at_most(0))
        bench.nursery.stop_all()


def _evicted(bench: Bench, workloads: Workloads) -> Iterator[Row]:
    """All pods are evicted and requests fail; or some are, and others serve the requests."""
    world = bench.world
    for title, fails in (
        ("all evicted at 50 %", True),
        ("some evicted at 50 % for a while", False),
    ):
        world.reset()
        runner = bench.nursery.start("--image", _NEW)
        world.wait_for_share(50)
        workloads.controller.trouble["kv-canary"] = "evicted"
        if fails:
            world.break_canary()
        else:
            let_pass(_EVICTED_SECONDS)
            workloads.controller.trouble.clear()
        runner.wait()
        yield from workloads.rows(title)
        bench.nursery.stop_all()


def _refused_by_stable(bench: Bench, workloads: Workloads) -> Iterator[Row]:
    """The stable pods have another node pool, say: there the release never gets ready."""
    world = bench.world
    world.reset()
    workloads.controller.trouble["kv-stable"] = f"never {_NEW}"
    bench.nursery.start("--image", _NEW).wait()
    yield from workloads.rows("the stable pods never get ready with the release")
    bench.nursery.stop_all()


def killed(bench: Bench, stride: int, *, is_bad: bool) -> Iterator[Row]:
    """Kill the runner around each of its writes, those of the Deployments too."""
    with _owning_workloads(bench) as (owning, workloads):
        yield from killed_at_each_write(
            owning, stride, is_bad=is_bad, more=("--image", _NEW), check=workloads.broken_promises
        )
