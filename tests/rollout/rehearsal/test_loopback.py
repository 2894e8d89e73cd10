"""No two processes choose one port at a time."""

from __future__ import annotations

import subprocess
import sys

from rollout.rehearsal.loopback import Ports

COUNT = 10
ONE_MORE = (
    "from rollout.rehearsal.loopback import Ports;"
    "print(Ports(range({first}, {first} + {count}), 1).choose())"
)


def unused() -> range:
    """Return consecutive free ports, of those that nothing else here chooses from."""
    ports = Ports(range(10_000, 15_000), COUNT)
    first = ports.choose(COUNT)
    ports.close()
    return range(first, first + COUNT)


def test_a_port_that_was_chosen_is_not_chosen_again_here_or_elsewhere() -> None:
    found = unused()
    ports = Ports(found, COUNT)

    chosen = [ports.choose() for _ in range(COUNT - 1)]
    code = ONE_MORE.format(first=found.start, count=COUNT)
    last = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=True
    )
    ports.close()

    assert {*chosen, int(last.stdout)} == set(found)
    assert last.stderr == b""


def test_marks_are_given_back() -> None:
    found = unused()
    ports = Ports(found, 3)

    chosen = {ports.choose() for _ in range(20 * COUNT)}
    ports.close()

    assert chosen == set(found)


def test_consecutive_ports_are_within_the_range() -> None:
    found = unused()
    ports = Ports(found, 0)

    assert {ports.choose(COUNT - 1) for _ in range(50)} == {found.start, found.start + 1}
    ports.close()
