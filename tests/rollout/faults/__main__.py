"""``python -m tests.rollout.faults``: break a rollout's cluster, and see how the rollout ends.

It runs the real command against the tests' own API server, with real time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.frame.program import Program, Run, run
from bench.frame.rows import Row
from tests.rollout.faults import api_faults, other_faults, pods
from tests.rollout.faults.api_faults import Bench
from tests.rollout.faults.kills import killed_at_each_write
from tests.rollout.faults.runners import running_nursery
from tests.rollout.faults.world import running_world


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How long faults last, in seconds, and at how many writes the runner is killed."""

    #: How long the API server is away.
    away_seconds: tuple[float, ...] = (5.0, 60.0, 600.0)
    fault_seconds: float = 8.0
    slow_seconds: float = 40.0
    latency_seconds: tuple[float, ...] = (0.5, 2.0)
    #: Kill at each n-th moment.
    kill_stride: int = 1


Scenario = Callable[[Bench, Sizes], Iterator[Row]]


def _api(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    for seconds in sizes.away_seconds:
        yield from api_faults.away(bench, seconds)
    yield from api_faults.starting(bench, sizes.fault_seconds)
    for latency in sizes.latency_seconds:
        yield from api_faults.slow(bench, latency, sizes.slow_seconds)
    for status in (403, 429, 503):
        yield from api_faults.refusing(bench, status, sizes.fault_seconds)
    yield from api_faults.conflicts(bench, sizes.fault_seconds)


def _kills(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    for is_bad in (False, True):
        yield from killed_at_each_write(bench, sizes.kill_stride, is_bad=is_bad)


def _pod_kills(bench: Bench, sizes: Sizes) -> Iterator[Row]:
    for is_bad in (False, True):
        yield from pods.killed(bench, sizes.kill_stride, is_bad=is_bad)


SCENARIOS: dict[str, Scenario] = {
    "api": _api,
    "credentials": lambda bench, sizes: api_faults.expired_token(bench, sizes.fault_seconds),
    "state": lambda bench, sizes: api_faults.state_objects(bench, sizes.fault_seconds / 2),
    "kills": _kills,
    "pods": lambda bench, _: pods.pods(bench),
    "pod-kills": _pod_kills,
    "runners": lambda bench, _: other_faults.two_runners(bench),
    "prometheus": lambda bench, sizes: other_faults.prometheus(bench, sizes.fault_seconds),
    "clocks": lambda bench, _: other_faults.clocks(bench),
    "routes": lambda bench, sizes: other_faults.routes(bench, sizes.fault_seconds / 2),
    "aborts": lambda bench, sizes: other_faults.aborted(bench, sizes.fault_seconds / 2),
}


def _part(scenario: Scenario) -> Callable[[Run[Sizes]], Iterator[Row]]:
    def measure(given: Run[Sizes]) -> Iterator[Row]:
        with running_world(given.directory) as world, running_nursery(world) as nursery:
            yield from scenario(Bench(world, nursery), given.sizes)

    return measure


PROGRAM = Program(
    name="rollout-faults",
    description="Break a rollout's API server, Prometheus and runners; see how the rollout ends.",
    parts={name: _part(scenario) for name, scenario in SCENARIOS.items()},
    sizes=Sizes(),
    quick=Sizes(
        away_seconds=(3.0,),
        fault_seconds=2.0,
        slow_seconds=10.0,
        latency_seconds=(0.5,),
        kill_stride=12,
    ),
)

if __name__ == "__main__":
    sys.exit(run(PROGRAM))
