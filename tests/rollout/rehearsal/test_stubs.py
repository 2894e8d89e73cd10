"""Stubs in place of services that can't run here: they return what they got."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
import yaml

from rollout.evidence.counts import Arm
from rollout.plan.derived_plan import load_derived_plan
from rollout.rehearsal.applied_manifests import read_applied_manifests
from rollout.rehearsal.pod_specs import PodOptions
from rollout.rehearsal.rehearsal import Rehearsal, RehearsalOptions, rehearsing
from rollout.rehearsal.stubs import hosts_elsewhere
from tests.rollout.plan.manifests import deployments, routes, subset, with_subsets, write
from tests.rollout.rehearsal.plans import canary_documents, canary_plan, need_programs

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS: Final = RehearsalOptions(rate=0, prometheus=False)
#: A host of other people, and a namespace of which no workload is among the manifests.
ELSEWHERE: Final = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: paying, namespace: shop}
spec:
  hosts: [pay.example.net]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: v1
kind: Service
metadata: {name: stock, namespace: warehouse}
spec:
  selector: {app: stock}
  ports: [{name: http, port: 80}]
"""
#: A selector that selects nothing, in a namespace with workloads.
TYPO: Final = """\
apiVersion: v1
kind: Service
metadata: {name: typo, namespace: shop}
spec:
  selector: {app: reveiws}
  ports: [{name: http, port: 80}]
"""


def paths_and_both() -> str:
    """Return a VirtualService that sends some paths elsewhere."""
    document = yaml.safe_load(routes(subset("v1", 1), subset("v2", 0)))
    document["spec"]["http"][:0] = [
        {
            "match": [{"uri": {"prefix": f"/{path}"}}],
            "retries": {"attempts": 0},
            "route": [{"destination": {"host": host, "port": {"number": 80}}}],
        }
        for path, host in (
            ("pay", "pay.example.net"),
            ("stock", "stock.warehouse.svc.cluster.local"),
        )
    ]
    return yaml.safe_dump(document)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stubs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rehearsal]:
    need_programs()
    texts = [*with_subsets(paths_and_both()), ELSEWHERE]
    mesh = tmp_path_factory.mktemp("stubs") / "mesh"
    loaded = load_derived_plan(write(mesh, texts), stable="v1", canary="v2")
    found = [each.document for each in loaded.resources]
    async with rehearsing(found, loaded.plan, OPTIONS) as running:
        await running.target.apply(loaded.plan.steps[0])
        yield running


async def answer(
    rehearsal: Rehearsal, method: str, path: str, **more: Any
) -> tuple[int, dict[str, Any], str]:
    """Return the status, the body, and the track of an answer."""
    headers = {"Host": rehearsal.host, **more.pop("headers", {})}
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, rehearsal.gateway + path, headers=headers, **more) as response,
    ):
        text = await response.text()
        body = json.loads(text) if text.startswith("{") else {}
        return response.status, body, response.headers.get("KV-Track", "")


async def test_a_stub_returns_the_request_and_its_own_identity(stubs: Rehearsal) -> None:
    status, body, track = await answer(
        stubs, "PATCH", "/a?b=c", headers={"X-One": "1"}, data=b"12345"
    )

    assert (status, track) == (200, "stable")
    assert (body["method"], body["path"], body["bodyBytes"]) == ("PATCH", "/a?b=c", 5)
    assert body["headers"]["x-one"] == "1"
    assert body["workload"] == "reviews-v1"
    assert body["labels"] == {"app": "reviews", "version": "v1"}
    assert body["version"] == "v1"


async def test_a_body_in_chunks_is_measured_and_the_connection_goes_on(stubs: Rehearsal) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 70_000

    for _ in range(2):
        status, body, _ = await answer(stubs, "POST", "/", data=chunks())
        assert (status, body["bodyBytes"]) == (200, 210_000)


@pytest.mark.parametrize("path", ["/pay/1", "/stock/2"])
async def test_hosts_without_a_workload_are_stubs_too(stubs: Rehearsal, path: str) -> None:
    status, body, track = await answer(stubs, "GET", path)

    assert (status, body["path"], body["workload"], track) == (200, path, None, "")
    assert (
        "replaced by a stub that returns its requests: reviews-v1, reviews-v2, pay.example.net,"
        " stock.warehouse.svc.cluster.local" in stubs.notes
    )


async def test_a_mistake_in_a_selector_is_not_hidden_by_a_stub() -> None:
    documents = [*yaml.safe_load_all("---\n".join([*deployments(), ELSEWHERE, TYPO]))]
    objects = read_applied_manifests(documents).objects
    names = ["typo.shop", "stock.warehouse"]

    hosts = frozenset(f"{each}.svc.cluster.local" for each in names)

    assert hosts_elsewhere(objects, hosts) == ("stock.warehouse.svc.cluster.local",)


async def test_tallykv_is_replaced_on_request() -> None:
    need_programs()
    options = RehearsalOptions(
        pods=PodOptions(stub=True, environ={Arm.CANARY: {"STUB_ERROR_RATIO": "1"}}),
        rate=0,
        prometheus=False,
    )
    plan = canary_plan()

    async with rehearsing(canary_documents(), plan, options) as running:
        for step, status, track in (
            (plan.steps[0], 200, "stable"),
            (plan.steps[-1], 500, "canary"),
        ):
            await running.target.apply(step)
            assert (await answer(running, "GET", "/"))[::2] == (status, track)

        assert {each.spec.store for each in running.kubelet.pods} == {None}
