"""A service over a rendered Redis, and everything that it may be asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from svc.domain.limits import parse_rates
from svc.settings import Settings
from tests.kustomize.redis_pods import Node
from tests.support.answers import Answer, ask, ask_admin, batch
from tests.support.event_streams import watching
from tests.support.every_verb import CHANGES, MERGE, READS
from tests.support.services import Service, running_service
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def service_on(node: Node) -> Any:
    # These tests check answers, not times.
    rates = parse_rates("read=9999/s,write=9999/s,delete=9999/s,list=9999/s")
    settings = Settings(store_url=node.url(), store_timeout_ms=10_000, rate_limits=rates)
    async with running_service(settings) as service:
        yield service


async def use_everything(service: Service) -> None:
    """Send each kind of request once or twice. Each must succeed."""
    asked = [*CHANGES[:-2], *READS, *CHANGES]
    for verb in asked:
        answer = await ask(service, verb.method, verb.path, **verb.options)
        assert answer.status < 300, (verb.name, answer)
    await ask(service, "PUT", "/v1/kv/again", json=1)
    step = {"op": "add", "counter": "n", "idempotency_key": "k"}
    results = await batch(
        service,
        *({"op": "put", "key": f"many/{i}", "value": i, "ttl": 60} for i in range(20)),
        *({"op": "get", "key": f"many/{i}"} for i in range(20)),
        *({"op": "add", "counter": f"many-{i % 3}", "by": 2**53} for i in range(20)),
        *(step, step),
        {"op": "delete", "key": "many/0"},
    )
    assert {each["status"] for each in results} <= {200, 201, 204}, results
    assert await names(service, "/v1/kv?prefix=many/&limit=7") == {
        f"many/{i}" for i in range(1, 20)
    }
    assert await names(service, "/v1/counters?prefix=many-") == {"many-0", "many-1", "many-2"}
    once = {"headers": {"Idempotency-Key": "refused", **MERGE}, "data": b"{}"}
    for _ in range(2):
        assert (await ask(service, "PATCH", "/v1/kv/nothing", **once)).status == 404
    async with watching(service.client, service.url("/v1/kv?prefix=many/")) as told:
        await told.until(lambda w: len(w.state) == 19)
        await ask(service, "PUT", "/v1/kv/many/new", json=1)
        await told.until(lambda w: "many/new" in w.state)
        await ask(service, "DELETE", "/v1/kv/many/new")
        await told.until(lambda w: "many/new" not in w.state)
    status = (await ask_admin(service, "/statusz")).json
    assert (status["status"], status["store"]["answers"]) == ("ok", True)


async def names(service: Service, path: str) -> set[str]:
    """Return the names on all pages of a listing."""
    found: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        answer = await ask(service, "GET", path + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status == 200, answer
        found |= {each.get("key", each.get("name")) for each in answer.json["items"]}
        cursor = answer.json["next_cursor"]
    return found


async def succeeds(request: Callable[[], Any], *, seconds: float, what: str) -> Answer:
    async def tried() -> Answer | None:
        answer: Answer = await request()
        return answer if answer.status < 300 else None

    found: Answer = await eventually(tried, seconds=seconds, what=what)
    return found
