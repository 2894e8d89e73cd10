"""gRPC in a rehearsal: stubs answer calls, and failed calls are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from rollout.evidence.counts import Arm
from rollout.rehearsal.pod_specs import PodOptions
from rollout.rehearsal.rehearsal import Rehearsal
from rollout.rehearsal.request_mix import RepeatedRequest
from tests.rollout.rehearsal.derived import OPTIONS, rehearsed, status
from tests.support.waiting import eventually

grpc = pytest.importorskip("grpc", reason="needs the package grpcio")

pytestmark = pytest.mark.asyncio

#: The Service's port speaks gRPC.
GRPC: Final[Mapping[str, str]] = {"{name: http, port: 9080": "{name: grpc, port: 9080"}
CANARY_FAILS: Final = PodOptions(environ={Arm.CANARY: {"STUB_ERROR_RATIO": "1"}})
METHOD: Final = "/shop.Reviews/List"


async def call(running: Rehearsal, message: bytes = b"") -> tuple[bytes, dict[str, str]]:
    """Call a method as a client of gRPC does; return the answer and the first headers."""
    entrance = running.entrances[0]
    address = entrance.url.removeprefix("http://")
    options = [("grpc.default_authority", entrance.host)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        method = channel.unary_unary(METHOD)
        calling = method(message, timeout=30)
        answer = await calling
        return answer, dict(await calling.initial_metadata())


async def test_a_stub_answers_a_call_with_an_empty_message(tmp_path: Path) -> None:
    async with rehearsed(tmp_path, changed=GRPC) as running:
        for message in (b"", b"x" * 200_000):
            answer, headers = await call(running, message)
            assert (answer, headers["kv-track"], headers["kv-version"]) == (b"", "stable", "v1")


async def test_a_stub_that_fails_is_unavailable(tmp_path: Path) -> None:
    options = replace(OPTIONS, pods=CANARY_FAILS)

    async with rehearsed(tmp_path, options=options, step=-1, changed=GRPC) as running:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call(running)

        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        await eventually(lambda: running.counts.by_arm()[Arm.CANARY].requests, seconds=30)
        counts = running.counts.by_arm()[Arm.CANARY]
        assert (counts.requests, counts.failures) == (1, 1)


async def test_a_port_for_http2_gets_the_request_back(tmp_path: Path) -> None:
    async with rehearsed(tmp_path, changed=GRPC) as running:
        assert await status(running, "/a", "PUT") == 200
        assert await status(running, "/a", "HEAD") == 200


@pytest.mark.parametrize(("step", "failing"), [(0, False), (-1, True)])
async def test_clients_can_call_and_see_failures(
    tmp_path: Path, step: int, *, failing: bool
) -> None:
    mix = RepeatedRequest.parse(f"GRPC {METHOD}")
    options = replace(OPTIONS, pods=CANARY_FAILS, mix=mix, rate=50)

    async with rehearsed(tmp_path, options=options, step=step, changed=GRPC) as running:
        results = running.load_generator.results
        arm = Arm.CANARY if failing else Arm.STABLE
        await eventually(
            lambda: running.counts.by_arm()[arm].requests > 10 and results.requests > 10,
            seconds=30,
        )
        counts = running.counts.by_arm()[arm]

    assert (counts.failures > 0) is failing
    assert (results.failures > 0) is failing
