"""A runner is killed around each of its writes, and another one goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence

from bench.frame.rows import Row, at_most
from tests.rollout.faults.api_faults import Bench
from tests.rollout.faults.outcome import broken_promises, rows_of


def killed_at_each_write(
    bench: Bench,
    stride: int,
    *,
    is_bad: bool,
    more: Sequence[str] = (),
    check: Callable[[], Iterator[str]] = lambda: iter(()),
) -> Iterator[Row]:
    """Kill the runner as each of its writes arrives, and when it is applied but not answered.

    The writes are those of the state, the journal, the lease, the routes and the workloads. They
    are counted in a run without a kill. ``stride``: take only each n-th. ``more`` are further
    arguments of ``run``, ``check`` yields further promises that are broken.
    """
    world = bench.world
    kind = "bad" if is_bad else "good"
    written = _run_killed(bench, None, more, is_bad=is_bad)
    yield from rows_of(f"not killed, {kind}", world)
    broken = [f"not killed: {each}" for each in check()]
    worst, kills = 0.0, 0
    for moment in range(0, 2 * written, stride):
        reached = _run_killed(bench, moment, more, is_bad=is_bad)
        kills += reached > moment // 2
        found = [*broken_promises(world), *check()]
        broken += [f"write {moment / 2:g}: {each}" for each in found]
        worst = max(worst, world.exposed_seconds)
    yield Row(f"killed, {kind}: broken promises", len(broken), "", at_most(0), "; ".join(broken))
    yield Row(f"killed, {kind}: a failing canary had requests", worst, "s", at_most(10))
    yield Row(f"killed, {kind}: kills", kills, "", None, f"at {written} writes, before and after")


def _run_killed(bench: Bench, moment: int | None, more: Sequence[str], *, is_bad: bool) -> int:
    """Run, with a kill at a moment, then another runner; return how many writes were made."""
    world = bench.world
    world.reset()
    if is_bad:
        world.break_canary()
    written = 0
    pid = 0

    def count(when: int) -> Callable[..., None]:
        def arrived(*_: object) -> None:
            nonlocal written
            if moment is not None and pid and 2 * written + when == moment:
                os.kill(pid, signal.SIGKILL)
            written += when

        return arrived

    world.server.before_write, world.server.after_write = count(0), count(1)
    first = bench.nursery.start(*more)
    pid = first.pid
    first.wait()
    world.server.before_write = world.server.after_write = None
    # Also if the rollout has ended: the kill may have come before the state said what was recorded.
    bench.nursery.start(*more).wait()
    return written
