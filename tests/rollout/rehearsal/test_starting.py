"""A rehearsal that can't start says why and leaves nothing; one that runs is on loopback only."""

from __future__ import annotations

import copy
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rollout.envoy.configuration import Address
from rollout.evidence.counts import Arm
from rollout.rehearsal import kubelet
from rollout.rehearsal.errors import (
    ConfigurationInvalid,
    ManifestsInvalid,
    NoIngress,
    RehearsalFailed,
)
from rollout.rehearsal.loopback import free_addresses
from rollout.rehearsal.pod_specs import PodOptions
from rollout.rehearsal.rehearsal import rehearsing
from tests.rollout.rehearsal.plans import (
    ECHO,
    ECHOES,
    TALLYKV,
    canary_documents,
    canary_plan,
    need_programs,
    routes_of,
    step_of,
)
from tests.support.manifests import of_kind
from tests.support.processes import children_of, is_running
from tests.support.waiting import eventually

#: The state of a listening socket and the loopback address, as /proc/PID/net/tcp writes them.
LISTENING = "0A"
LOOPBACK = "0100007F"


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = set(children_of(os.getpid()))
    yield
    assert set(children_of(os.getpid())) == before


async def test_a_release_that_can_not_start_says_why() -> None:
    need_programs()
    options = replace(TALLYKV, pods=PodOptions(environ={Arm.CANARY: {"KV_NONSENSE": "1"}}))

    with pytest.raises(RehearsalFailed, match=r"kv-canary-0 ended with code .*KV_NONSENSE"):
        async with rehearsing(canary_documents(), canary_plan(), options):
            pass


async def test_a_command_that_is_not_there_says_so() -> None:
    need_programs()
    options = replace(
        ECHOES,
        pods=PodOptions(commands=dict.fromkeys(Arm, ("no-such-program",))),
    )

    with pytest.raises(RehearsalFailed, match="no-such-program: No such file or directory"):
        async with rehearsing(canary_documents(), canary_plan(), options):
            pass


async def test_an_invalid_step_is_detected_before_the_first() -> None:
    need_programs()
    plan, broken = canary_plan(), copy.deepcopy(routes_of("canary/steps/50"))
    broken["spec"]["http"][0]["route"][1]["destination"]["subset"] = "cannary"
    steps = (*plan.steps[:-1], step_of(broken, "50"))

    with pytest.raises(
        ConfigurationInvalid, match=r"^step 50: .*unknown weighted cluster '.*\|cannary\|"
    ):
        async with rehearsing(canary_documents(), replace(plan, steps=steps), ECHOES):
            pass


async def test_invalid_manifests_are_named() -> None:
    need_programs()
    documents = canary_documents()
    of_kind(documents, "DestinationRule")[-1]["spec"]["subsets"][0]["nmae"] = "x"

    with pytest.raises(ManifestsInvalid, match=r"DestinationRule kv/kv: spec\.subsets\[0\]\.nmae"):
        async with rehearsing(documents, canary_plan(), ECHOES):
            pass


async def test_without_a_gateway_there_is_no_ingress() -> None:
    need_programs()
    documents = [each for each in canary_documents() if each["kind"] != "Gateway"]

    with pytest.raises(NoIngress, match="kv/kv"):
        async with rehearsing(documents, canary_plan(), ECHOES):
            pass


async def test_what_a_command_started_ends_with_it() -> None:
    need_programs()
    # A shell that keeps running, with the service as its child.
    command = ("sh", "-c", f"{' '.join(ECHO)} & wait")
    options = replace(ECHOES, pods=PodOptions(commands=dict.fromkeys(Arm, command)))

    async with rehearsing(canary_documents(), canary_plan(), options) as running:
        shells = [pod.child.pid for pod in running.kubelet.pods if pod.child]
        services = [child for shell in shells for child in children_of(shell)]

    assert len(shells) == len(services) == 2
    await eventually(lambda: not any(map(is_running, services)), what="the services' end")


async def test_all_listen_on_loopback_only() -> None:
    need_programs()
    options = replace(TALLYKV, prometheus=True)

    async with rehearsing(canary_documents(), canary_plan(), options) as running:
        found = {pid: listening(pid) for pid in (*children_of(os.getpid()), os.getpid())}

    assert sum(map(len, found.values())) >= 7  # gateway, admin, two of each release, metrics
    assert {address for each in found.values() for address in each} == {LOOPBACK}
    assert shutil.which("prometheus") is None or running.prometheus is not None
    assert not running.directory.exists()


def listening(pid: int) -> list[str]:
    """Return the addresses that a process listens on, as /proc/PID/net/tcp writes them."""
    sockets = _listeners(pid)
    held = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
    return [address for inode, address in sockets.items() if f"socket:[{inode}]" in held]


def _listeners(pid: int) -> Mapping[str, str]:
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                found[fields[9]] = fields[1].partition(":")[0]
    return found


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_port_that_was_taken_meanwhile_is_replaced(
    monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    need_programs()
    chosen = 0

    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]

        def choose(count: int) -> list[Address]:
            nonlocal chosen
            chosen += 1
            free = free_addresses(count)
            return [Address("127.0.0.1", port), *free[1:]] if chosen <= attempts else free

        monkeypatch.setattr(kubelet, "free_addresses", choose)
        running = rehearsing(canary_documents(), canary_plan(), TALLYKV)
        if attempts == 1:
            async with running as rehearsal:
                assert all(pod.ready for pod in rehearsal.kubelet.pods)
        else:
            with pytest.raises(RehearsalFailed, match=r"already in use"):
                await running.__aenter__()

    assert chosen == (2 if attempts == 1 else 3)
