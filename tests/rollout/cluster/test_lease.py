"""The hold on a rollout: a Lease, whatever the clocks say, and whoever removes or takes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.kubeconfig import open_client
from rollout.cluster.lease import Lease, LeaseTimes, boot_clock
from rollout.cluster.leased_state import LeasedStateStore
from rollout.cluster.process_identity import has_ended, identify_process
from rollout.runner.directory_state_store import DirectoryStateStore
from rollout.runner.state_store import StateFailed, StateHeld, StateTaken
from tests.support.api_faults import Faults
from tests.support.api_server import ApiServer
from tests.support.waiting import eventually

KEY: Final = ("coordination.k8s.io/v1/leases", "shop", "tallykv-rollout-kv")
#: Long enough for a busy machine; renewed often, so that others see a renewal soon.
TIMES: Final = LeaseTimes(duration_seconds=180, renew_seconds=0.05, patience_seconds=0.2)
SHORT: Final = LeaseTimes(duration_seconds=1, renew_seconds=0.05, patience_seconds=0.2)
OTHER: Final = "process 2 on other"


def lease(client: AsyncClient, times: LeaseTimes = TIMES, said: list[str] | None = None) -> Lease:
    return Lease(client, "shop", "kv", times, say=(said if said is not None else []).append)


def spec_of(server: ApiServer) -> dict[str, Any]:
    found: dict[str, Any] = server.objects[KEY]["spec"]
    return found


def put(server: ApiServer, *, process: str = "", **spec: Any) -> None:
    metadata = {"name": KEY[2], "namespace": "shop"}
    annotated = {**metadata, "annotations": {"tallykv-rollout/process": process}}
    server.put(KEY[0], {"metadata": annotated, "spec": {"leaseDurationSeconds": 1, **spec}})


@contextlib.asynccontextmanager
async def held(client: AsyncClient, times: LeaseTimes = TIMES) -> AsyncIterator[Lease]:
    one = lease(client, times)
    async with one.hold():
        yield one


async def test_it_is_taken_renewed_and_released(server: ApiServer, client: AsyncClient) -> None:
    async with held(client) as mine:
        first = dict(spec_of(server))
        await eventually(lambda: spec_of(server)["renewTime"] != first["renewTime"])

        assert spec_of(server)["holderIdentity"] == first["holderIdentity"]
        assert (first["leaseDurationSeconds"], first["leaseTransitions"]) == (180, 1)
        assert mine.why_not_held() == ""
    assert "holderIdentity" not in spec_of(server)
    assert mine.why_not_held()


@pytest.mark.parametrize("renewed", ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "?"])
async def test_it_expires_by_the_clock_of_who_waits(
    server: ApiServer, client: AsyncClient, renewed: str
) -> None:
    put(server, holderIdentity=OTHER, renewTime=renewed)
    began, said = boot_clock(), list[str]()

    async with lease(client, SHORT, said).hold():
        assert boot_clock() - began >= 1
    (told,) = said
    assert told.startswith(f"{OTHER} has the rollout; if it doesn't show a sign of life within 1 s")


async def test_a_process_of_this_machine_that_has_ended_holds_nothing(
    server: ApiServer, client: AsyncClient
) -> None:
    ended = await asyncio.create_subprocess_exec("true")
    await ended.wait()
    boot, namespace, *_ = identify_process().split()
    put(
        server,
        holderIdentity=OTHER,
        process=f"{boot} {namespace} {ended.pid} 1",
        leaseDurationSeconds=600,
    )

    async with asyncio.timeout(60), held(client):
        pass


def test_only_a_process_of_this_machine_is_known_to_have_ended() -> None:
    mine = identify_process()

    assert not has_ended(mine)
    assert has_ended(mine + "0")
    for unknown in ("", "?", f"other {mine.split(' ', 1)[1]}"):
        assert not has_ended(unknown)


async def test_of_two_that_wait_one_is_refused(server: ApiServer, client: AsyncClient) -> None:
    put(server, holderIdentity=OTHER)
    refused = asyncio.Event()

    async def run() -> str:
        try:
            async with held(client):
                await asyncio.wait_for(refused.wait(), 60)
                return "ran"
        except StateHeld:
            refused.set()
            return "refused"

    assert sorted(await asyncio.gather(run(), run())) == ["ran", "refused"]


async def test_a_holder_that_can_not_renew_is_unsure_in_time_and_goes_on_later(
    server: ApiServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may take over after the whole duration: it stops writing before that."""
    now = 1000.0
    monkeypatch.setattr("rollout.cluster.lease.boot_clock", lambda: now)
    async with held(client) as mine:
        server.faults = Faults(status=503)
        now += TIMES.duration_seconds * 0.6
        assert mine.why_not_held() == ""
        now += TIMES.duration_seconds * 0.3
        assert "could not be renewed (503" in await eventually(
            lambda: "503" in mine.why_not_held() and mine.why_not_held()
        )

        server.faults = None
        await eventually(lambda: not mine.why_not_held())


@pytest.mark.parametrize("how", ["deleted", "holder removed", "conflict"])
async def test_a_hold_that_nobody_else_has_is_taken_again(
    server: ApiServer, client: AsyncClient, how: str
) -> None:
    async with held(client) as mine:
        holder = spec_of(server)["holderIdentity"]
        if how == "deleted":
            server.remove(*KEY)
        elif how == "conflict":
            server.edit(*KEY, lambda found: found["metadata"].update(labels={"team": "shop"}))
        else:
            server.edit(*KEY, lambda found: found["spec"].pop("holderIdentity"))
        version = server.objects.get(KEY, {}).get("metadata", {}).get("resourceVersion")
        await eventually(
            lambda: (
                KEY in server.objects
                and server.objects[KEY]["metadata"]["resourceVersion"] != version
            )
        )

        assert spec_of(server)["holderIdentity"] == holder
        assert mine.why_not_held() == ""


async def test_a_former_holder_is_stopped(server: ApiServer, client: AsyncClient) -> None:
    async def lose() -> None:
        async with held(client):
            server.edit(*KEY, lambda found: found["spec"].update(holderIdentity=OTHER))
            await asyncio.wait_for(asyncio.Event().wait(), 60)

    with pytest.raises(StateTaken, match=OTHER):
        await lose()
    assert spec_of(server)["holderIdentity"] == OTHER


async def test_a_cancelled_holder_releases_it(server: ApiServer, client: AsyncClient) -> None:
    entered = asyncio.Event()

    async def run() -> None:
        async with held(client):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await entered.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert "holderIdentity" not in spec_of(server)


@pytest.mark.parametrize("verb", ["get", "create"])
async def test_a_missing_permission_is_reported(
    server: ApiServer, client: AsyncClient, verb: str
) -> None:
    server.forbidden = {(verb, "leases")}

    with pytest.raises(StateFailed, match="you need get and patch of the lease"):
        async with held(client):
            pytest.fail("held nothing")


async def test_a_start_waits_for_a_server_that_is_starting(
    server: ApiServer, client: AsyncClient
) -> None:
    """It refuses what it grants for a moment."""
    server.faults = Faults(status=403, times=2)
    said: list[str] = []
    patient = LeaseTimes(duration_seconds=180, renew_seconds=0.05)

    async with lease(client, patient, said).hold():
        pass
    assert len(said) == 1
    assert "you need get and patch" in said[0]


async def test_a_slow_server_takes_nobodys_hold(server: ApiServer, client: AsyncClient) -> None:
    """A renewal is one request, so it takes one round trip."""
    async with held(client) as mine:
        server.latency_seconds = 0.1
        asked = len(server.requests)
        await eventually(lambda: len(server.requests) >= asked + 4)
        assert {each.method for each in server.requests[asked:]} == {"PATCH"}
        assert mine.why_not_held() == ""
        server.latency_seconds = 0


async def test_a_lease_holds_two_directories_apart(
    server: ApiServer, kubeconfig: str, client: AsyncClient, tmp_path: Path
) -> None:
    """As two machines have them; the first one is not told of the second."""
    async with open_client(kubeconfig=kubeconfig) as second:
        one = LeasedStateStore(DirectoryStateStore(tmp_path / "one"), lease(client))
        other = LeasedStateStore(DirectoryStateStore(tmp_path / "two"), lease(second))
        async with one.hold():
            await one.save({"step": 1})
            with pytest.raises(StateHeld, match=r"process \d+ on .* runs the rollout"):
                async with other.hold():
                    pytest.fail("two runners")
            with pytest.raises(StateFailed, match="changes nothing until it holds"):
                await other.save({"step": 2})


async def test_renewed_credentials_are_read_from_disk(
    server: ApiServer, kubeconfig: str, client: AsyncClient
) -> None:
    async with held(client, SHORT) as mine:
        server.tokens = {"renewed"}
        await eventually(mine.why_not_held)
        path = Path(kubeconfig)
        server.kubeconfig(path, token="renewed")  # noqa: S106 - for this test server only
        await eventually(lambda: not mine.why_not_held())
