"""An unavailable API server is retried; other errors are reported at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest
from lightkube import AsyncClient

from rollout.cluster.kubeconfig import open_client
from rollout.cluster.live_routes import Timeouts
from rollout.cluster.target import ClusterTarget
from rollout.runner.ports import ManagedByOther, TargetFailed
from tests.rollout.cluster.virtual_services import (
    COLLECTION,
    QUICK,
    canary_plan,
    live,
    share,
    step,
    weights,
)
from tests.support.api_faults import Faults
from tests.support.api_server import ApiServer, serving

KEY: Final = (COLLECTION, "shop", "kv")
SHORT: Final = Timeouts(
    retry_seconds=0.3, backoff_seconds=0.01, max_attempts=4, propagation_seconds=0
)


@pytest.fixture(autouse=True)
def _virtual_service(server: ApiServer) -> None:
    server.put(COLLECTION, live(share(0)))


@pytest.mark.parametrize(
    "faults",
    [
        {"status": 500},
        {"status": 503},
        {"status": 429},
        {"status": 504, "methods": frozenset({"PATCH"})},
        {"status": 502, "without_body": True},
        {"reset": True},
        {"reset": True, "methods": frozenset({"PATCH"})},
        {"garbage": True},
        {"garbage": True, "after_applying": True, "methods": frozenset({"PATCH"})},
    ],
    ids=str,
)
async def test_a_passing_fault_is_retried(
    server: ApiServer, client: AsyncClient, faults: dict[str, Any]
) -> None:
    server.faults = Faults(**faults, times=3)
    steps = canary_plan()

    await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    assert weights(server.objects[KEY]) == [[90, 10]] * 2
    assert server.faults.times == 0 or server.faults.after_applying


async def test_a_change_whose_response_was_lost_is_not_made_twice(
    server: ApiServer, client: AsyncClient
) -> None:
    server.faults = Faults(reset=True, after_applying=True, methods=frozenset({"PATCH"}), times=1)
    steps = canary_plan()

    await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    assert len(server.writes()) == 1
    assert weights(server.objects[KEY]) == [[90, 10]] * 2


@pytest.mark.parametrize("lost", [False, True])
async def test_propagation_is_waited_for_also_if_the_response_was_lost(
    server: ApiServer, client: AsyncClient, *, lost: bool
) -> None:
    if lost:
        server.faults = Faults(
            reset=True, after_applying=True, methods=frozenset({"PATCH"}), times=1
        )
    steps = canary_plan()
    target = ClusterTarget(client, steps, Timeouts(backoff_seconds=0.01, propagation_seconds=0.5))
    began = asyncio.get_running_loop().time()

    await target.apply(step(steps, "w10"))

    assert asyncio.get_running_loop().time() - began >= 0.5


@pytest.mark.parametrize("methods", [{"GET"}, {"PATCH"}])
async def test_a_lasting_fault_is_reported(
    server: ApiServer, client: AsyncClient, methods: set[str]
) -> None:
    server.faults = Faults(status=503, methods=frozenset(methods))
    steps = canary_plan()

    with pytest.raises(
        TargetFailed, match=r"the API server is unavailable.*see whether kubectl get works"
    ) as caught:
        await ClusterTarget(client, steps, SHORT).apply(step(steps, "w10"))

    assert not isinstance(caught.value, ManagedByOther)
    assert len(server.requests) <= 40


async def test_a_server_that_never_answers_is_unavailable(
    server: ApiServer, kubeconfig: str
) -> None:
    server.faults = Faults(hang=True)
    steps = canary_plan()

    async with open_client(kubeconfig=kubeconfig, timeout_seconds=1) as client:
        with pytest.raises(TargetFailed, match="Timeout"):
            await ClusterTarget(client, steps, SHORT).in_force(step(steps, "w10"))


async def test_a_server_that_is_gone_for_three_seconds_is_waited_for(tmp_path: Path) -> None:
    server = ApiServer()
    server.put(COLLECTION, live(share(0)))
    steps = canary_plan()
    async with serving(server):
        kubeconfig = str(server.kubeconfig(tmp_path / "kubeconfig"))
    back = asyncio.Event()
    asyncio.get_running_loop().call_later(3.0, back.set)

    async with open_client(kubeconfig=kubeconfig) as client:
        times = Timeouts(retry_seconds=60, backoff_seconds=0.05, propagation_seconds=0)
        target = ClusterTarget(client, steps, times)
        applying = asyncio.create_task(target.apply(step(steps, "w10")))
        await back.wait()
        assert not applying.done()
        assert server.requests == []
        async with serving(server):
            await applying

    assert weights(server.objects[KEY]) == [[90, 10]] * 2


async def test_without_the_virtual_service_it_says_what_to_do(
    server: ApiServer, client: AsyncClient
) -> None:
    server.objects.clear()
    steps = canary_plan()

    with pytest.raises(TargetFailed, match=r"no VirtualService shop/kv.*first step by hand"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))


@pytest.mark.parametrize("verb", ["get", "patch"])
async def test_a_forbidden_request_is_reported_at_once(
    server: ApiServer, client: AsyncClient, verb: str
) -> None:
    server.forbidden = {(verb, "virtualservices")}
    steps = canary_plan()

    with pytest.raises(TargetFailed, match=f"kubectl auth can-i {verb} virtualservices"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    tried = [each for each in server.requests if each.plural == "virtualservices"]
    assert len(tried) == (1 if verb == "get" else 2)


async def test_a_rejected_change_is_reported_at_once(
    server: ApiServer, client: AsyncClient
) -> None:
    server.faults = Faults(status=400, methods=frozenset({"PATCH"}))
    steps = canary_plan()

    with pytest.raises(TargetFailed, match=r"refuses to patch .*broken on purpose"):
        await ClusterTarget(client, steps, QUICK).apply(step(steps, "w10"))

    assert len(server.writes()) == 1
