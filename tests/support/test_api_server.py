"""The tests' own API server does what a real one was seen to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest

from tests.support.api_faults import Stage
from tests.support.api_server import TOKEN, ApiServer, serving
from tests.support.field_managers import owners

ROUTES: Final = "networking.istio.io/v1/virtualservices"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
HTTP: Final = ("spec", "http")


def routes(weight: int, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "kv", "namespace": "shop", **more},
        "spec": {"hosts": ["kv"], "http": [{"route": [{"weight": weight}]}]},
    }


class Kubectl:
    """Sends requests; ``said`` is the message of the last response."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession) -> None:
        self._server, self._session = server, session
        self.said = ""

    async def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str
    ) -> int:
        async with self._session.request(
            method,
            f"http://127.0.0.1:{self._server.port}/{path}",
            data=None if body is None else json.dumps(body),
            params=query,
            headers={"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"},
        ) as response:
            self.said = str((await response.json()).get("message", ""))
            return response.status

    async def routes(self, method: str, body: Any = None, kind: str = MERGE, **query: str) -> int:
        where = "apis/networking.istio.io/v1/namespaces/shop/virtualservices/kv"
        return await self.ask(method, where, body, kind, **query)

    async def state(self, method: str, body: Any = None) -> int:
        return await self.ask(method, "api/v1/namespaces/shop/configmaps/state", body, MERGE)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving(ApiServer()) as running:
        running.put(ROUTES, routes(0))
        running.put("/v1/configmaps", {"metadata": {"name": "state", "namespace": "shop"}})
        yield running


@pytest.fixture
async def kubectl(server: ApiServer) -> AsyncIterator[Kubectl]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield Kubectl(server, session)


async def test_it_starts_as_a_real_one_does(server: ApiServer, kubectl: Kubectl) -> None:
    await server.close_port()
    with pytest.raises(aiohttp.ClientConnectionError):
        await kubectl.state("GET")

    await server.open_port()
    server.stage = Stage.NOT_LOADED
    assert (await kubectl.state("GET"), await kubectl.routes("GET")) == (403, 403)
    server.stage = Stage.INSTALLING
    assert (await kubectl.state("GET"), await kubectl.routes("GET")) == (200, 503)
    assert "before all known HTTP paths" in kubectl.said
    server.stage = Stage.READY
    assert (await kubectl.state("GET"), await kubectl.routes("GET")) == (200, 200)


async def test_versions_tokens_and_rights(server: ApiServer, kubectl: Kubectl) -> None:
    stale = [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}]
    assert await kubectl.routes("PATCH", stale, JSON_PATCH) == 409

    server.rules = [
        {
            "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["state"],
            "verbs": ["get"],
        }
    ]  # fmt: skip
    assert await kubectl.state("GET") == 200
    assert await kubectl.state("PATCH", {}) == 403
    assert await kubectl.ask("GET", "api/v1/namespaces/shop/configmaps") == 403

    server.tokens = {"renewed"}
    assert await kubectl.state("GET") == 401


async def test_a_full_or_immutable_config_map_names_the_field(kubectl: Kubectl) -> None:
    half = "x" * 600_000
    assert await kubectl.state("PATCH", {"data": {"a": half}}) == 200
    assert await kubectl.state("PATCH", {"data": {"b": half}}) == 422
    assert "data: Too long" in kubectl.said
    assert await kubectl.state("PATCH", {"immutable": True}) == 200
    assert await kubectl.state("PATCH", {"data": {"a": "x"}}) == 422
    assert "data: Forbidden: field is immutable" in kubectl.said
    assert await kubectl.state("PATCH", {"immutable": None}) == 422
    assert "immutable: Forbidden" in kubectl.said


async def test_a_field_of_another_manager_is_a_conflict_of_a_server_side_apply(
    server: ApiServer, kubectl: Kubectl
) -> None:
    server.remove(ROUTES, "shop", "kv")
    assert await kubectl.routes("PATCH", routes(0), APPLY, fieldManager="kubectl") == 200
    edit = [{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 5}]
    assert await kubectl.routes("PATCH", edit, JSON_PATCH, fieldManager="runner") == 200
    stored = server.objects[ROUTES, "shop", "kv"]
    assert owners(stored, *HTTP) == {"runner"}
    assert owners(stored, "spec", "hosts") == {"kubectl"}

    # Also where the values are the same.
    assert await kubectl.routes("PATCH", routes(5), APPLY, fieldManager="kubectl") == 409
    assert '"runner" using networking.istio.io/v1: .spec.http' in kubectl.said
    assert await kubectl.routes("PATCH", {"spec": {"http": []}}, MERGE, fieldManager="edit") == 200
    assert (
        await kubectl.routes("PATCH", routes(0), APPLY, fieldManager="kubectl", force="true") == 200
    )
    assert owners(server.objects[ROUTES, "shop", "kv"], *HTTP) == {"kubectl"}
