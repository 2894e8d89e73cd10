"""No two rehearsals choose one port, whether they are in one process or in two."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import deque

import pytest

from rollout.rehearsal import loopback
from tests.support.ports import free_ports

COUNT = 10
ONE_MORE = (
    "from rollout.rehearsal import loopback;"
    "loopback._PORTS = range({first}, {first} + {count});"
    "print(loopback.free_address().port)"
)


def test_a_port_that_was_chosen_is_not_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_ports(COUNT)
    monkeypatch.setattr(loopback, "_PORTS", range(first, first + COUNT))

    chosen = {each.port for each in loopback.free_addresses(COUNT - 1)}
    code = ONE_MORE.format(first=first, count=COUNT)
    last = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout

    assert {*chosen, int(last)} == set(range(first, first + COUNT))


def test_marks_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_ports(COUNT)
    monkeypatch.setattr(loopback, "_PORTS", range(first, first + COUNT))
    monkeypatch.setattr(loopback, "_taken", taken := deque[socket.socket]())
    monkeypatch.setattr(loopback, "_MOST_TAKEN", 3)

    assert len(loopback.free_addresses(5 * COUNT)) == 5 * COUNT
    for each in taken:
        each.close()
