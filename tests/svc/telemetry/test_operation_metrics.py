"""The results of store operations: hit, miss, ok, conflict or error, each counted once."""

from __future__ import annotations

from typing import Any, Final

import pytest

from svc.api.context import STORE
from svc.domain.errors import DomainError, OutcomeUnknown, StoreContended
from svc.domain.model import CounterName, Draft, Increment, Key
from svc.stores.measured import MeasuredStore
from svc.telemetry.metrics import LISTS, READS, WRITES, Metrics
from svc.telemetry.signals import Signals
from tests.support.answers import ask, batch, together
from tests.support.every_verb import CHANGES
from tests.support.instrumented_service import Serve, scrape
from tests.support.ports import closed_port
from tests.support.redis_servers import RedisServer
from tests.support.services import Service

NOWHERE: Final = f"redis://127.0.0.1:{closed_port()}"
MERGE: Final = {"Content-Type": "application/merge-patch+json"}

Counts = dict[tuple[str, ...], float]


async def operations(service: Service) -> Counts:
    return (await scrape(service)).counts("kv_operations_total")


def headers(**given: str) -> dict[str, Any]:
    return {"headers": {name.replace("_", "-"): value for name, value in given.items()}}


#: Requests in sequence on one store, and what each one adds to the counts.
STORY: Final[list[tuple[str, str, dict[str, Any], Counts]]] = [
    ("GET", "/v1/kv/a", {}, {("read", "miss"): 1}),
    ("PUT", "/v1/kv/a", {"json": {}}, {("write", "ok"): 1}),
    ("GET", "/v1/kv/a", {}, {("read", "hit"): 1}),
    ("HEAD", "/v1/kv/a", {}, {("read", "hit"): 1}),
    ("GET", "/v1/kv/a", headers(If_None_Match="*"), {("read", "hit"): 1}),
    ("PUT", "/v1/kv/a", headers(If_None_Match="*"), {("write", "conflict"): 1}),
    ("PUT", "/v1/kv/a", headers(If_Match='"other"'), {("write", "conflict"): 1}),
    ("PUT", "/v1/kv/a", {"json": {}, **headers(If_Match="*")}, {("write", "ok"): 1}),
    ("PUT", "/v1/kv/a?ttl=keep", {"json": {}}, {("write", "ok"): 1}),
    ("PUT", "/v1/kv/a", {"json": {}, **headers(Idempotency_Key="i")}, {("write", "ok"): 1}),
    ("PUT", "/v1/kv/a", {"json": {}, **headers(Idempotency_Key="i")}, {("write", "ok"): 1}),
    ("PUT", "/v1/kv/a", {"json": [1], **headers(Idempotency_Key="i")}, {("write", "conflict"): 1}),
    (
        "PATCH",
        "/v1/kv/a",
        {"data": b'{"n":1}', "headers": MERGE},
        {("read", "hit"): 1, ("swap", "ok"): 1},
    ),
    ("PATCH", "/v1/kv/none", {"data": b"{}", "headers": MERGE}, {("read", "miss"): 1}),
    ("POST", "/v1/kv/list/", {"json": 1}, {("write", "ok"): 1}),
    ("GET", "/v1/kv", {}, {("list_entries", "ok"): 1}),
    ("DELETE", "/v1/kv?prefix=list/", {}, {("delete_prefix", "ok"): 1}),
    ("GET", "/v1/kv?cursor=bad", {}, {("list_entries", "conflict"): 1}),
    ("DELETE", "/v1/kv/a", headers(If_Match='"other"'), {("delete", "conflict"): 1}),
    ("DELETE", "/v1/kv/a", {}, {("delete", "ok"): 1}),
    ("DELETE", "/v1/kv/a", {}, {("delete", "miss"): 1}),
    ("GET", "/v1/counters/c", {}, {("read_counter", "miss"): 1}),
    ("POST", "/v1/counters/c/increments", {}, {("add", "ok"): 1}),
    ("POST", "/v1/counters/c/increments", {"json": {"by": 9, "max": 5}}, {("add", "conflict"): 1}),
    (
        "POST",
        "/v1/counters/c/increments",
        {"json": {"by": 9, "max": 5, "on_bound": "clamp"}},
        {("add", "ok"): 1},
    ),
    ("PUT", "/v1/counters/c", {"json": {"value": 2**63 - 1}}, {("set_counter", "ok"): 1}),
    ("POST", "/v1/counters/c/increments", {}, {("add", "conflict"): 1}),
    ("GET", "/v1/counters/c", {}, {("read_counter", "hit"): 1}),
    ("GET", "/v1/counters", {}, {("list_counters", "ok"): 1}),
    ("DELETE", "/v1/counters/c", {}, {("delete_counter", "ok"): 1}),
    ("DELETE", "/v1/counters/c", {}, {("delete_counter", "miss"): 1}),
    ("GET", "/", {}, {("add", "ok"): 1}),
    ("HEAD", "/", {}, {}),
    ("PUT", "/plain", {"json": {}}, {("write", "ok"): 1}),
    ("GET", "/plain", {}, {("read", "hit"): 1}),
    ("PUT", "/v1/kv/a?ttl=x", {"json": {}}, {}),
    ("GET", "/v1/limits", {}, {}),
]


async def test_each_operation_is_counted_as_what_it_came_to(
    observed: Serve, redis_server: RedisServer
) -> None:
    async with observed(store_url=redis_server.url) as service:
        before: Counts = {}
        for method, path, options, expected in STORY:
            answer = await ask(service, method, path, **options)
            after = await operations(service)
            added = {labels: n - before.get(labels, 0) for labels, n in after.items()}
            added = {labels: n for labels, n in added.items() if n}
            assert added == expected, (method, path, options, answer)
            before = after


async def test_the_operations_of_a_batch_are_counted_individually(
    observed: Serve, redis_server: RedisServer
) -> None:
    async with observed(store_url=redis_server.url) as service:
        await batch(
            service,
            {"op": "put", "key": "a", "value": 1},
            {"op": "put", "key": "b", "value": 1},
            {"op": "put", "key": "b", "value": 2, "if_match": "no"},
            {"op": "get", "key": "a"},
            {"op": "get", "key": "none"},
            {"op": "get", "key": ".."},
            {"op": "delete", "key": "b"},
            {"op": "delete", "key": "none"},
            {"op": "add", "counter": "c", "by": 2**63 - 1},
            {"op": "add", "counter": "c"},
            {"op": "add", "counter": "d", "idempotency_key": "once"},
            {"op": "add", "counter": "d", "idempotency_key": "once"},
        )
        await batch(service, *({"op": "get", "key": "a"} for _ in range(30)))
        counted = await operations(service)

    assert counted == {
        ("write", "ok"): 2,
        ("write", "conflict"): 1,
        ("read", "hit"): 31,
        ("read", "miss"): 1,
        ("delete", "ok"): 1,
        ("delete", "miss"): 1,
        ("add", "ok"): 3,
        ("add", "conflict"): 1,
    }


async def test_requests_that_share_a_round_trip_are_counted_one_by_one(
    observed: Serve, redis_server: RedisServer
) -> None:
    async with observed(store_url=redis_server.url) as service:
        await together(*(ask(service, "POST", "/v1/counters/c/increments") for _ in range(50)))
        await together(*(ask(service, "GET", f"/v1/kv/k{n % 3}") for n in range(50)))
        counted = await operations(service)

    assert counted == {("add", "ok"): 50, ("read", "miss"): 50}


async def test_a_swap_that_lost_its_race_is_a_conflict(observed: Serve) -> None:
    key, draft = Key("raced"), Draft(b"1", "text/plain", 60, is_json=False)
    async with observed() as service:
        store = service.app[STORE]
        first = await store.write(key, draft)
        await store.write(key, draft)

        lost = await store.swap(key, draft, first.etag)
        counted = await operations(service)

    assert lost is None
    assert counted == {("write", "ok"): 2, ("swap", "conflict"): 1}


async def test_when_redis_is_down_every_operation_is_an_error(observed: Serve) -> None:
    async with observed(store_url=NOWHERE) as service:
        for verb in CHANGES:
            await ask(service, verb.method, verb.path, **verb.options)
        for path in ("/v1/kv/k", "/v1/kv", "/v1/counters/c", "/v1/counters", "/k"):
            await ask(service, "GET", path)
        await ask(service, "DELETE", "/v1/kv?prefix=k")
        counted = await operations(service)

    assert {result for _, result in counted} == {"error"}
    assert {operation for operation, _ in counted} == {*READS, *LISTS, *WRITES} - {"swap"}


async def test_in_a_batch_on_a_redis_that_is_down_what_was_tried_is_an_error(
    observed: Serve,
) -> None:
    async with observed(store_url=NOWHERE) as service:
        await batch(
            service,
            {"op": "put", "key": "a", "value": 1},
            {"op": "get", "key": "b"},
            {"op": "add", "counter": "c"},
            {"op": "delete", "key": "d"},
        )
        counted = await operations(service)

    assert counted == {
        ("write", "error"): 1,
        ("read", "error"): 1,
        ("add", "error"): 1,
        ("delete", "error"): 1,
    }


async def test_a_probe_of_the_store_is_no_operation(observed: Serve) -> None:
    async with observed() as service:
        async with service.client.get(f"{service.admin_base}/statusz") as answer:
            assert (await answer.json())["store"]["answers"] is True
        counted = await operations(service)

    assert counted == {}


class Failing:
    """A store whose every operation ends in the same way."""

    def __init__(self, error: DomainError) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Any:
        async def fail(*_: Any) -> Any:
            raise self._error

        return fail


@pytest.mark.parametrize(
    ("error", "result"), [(OutcomeUnknown("?"), "error"), (StoreContended("?"), "conflict")]
)
async def test_operations_that_fail_are_counted_however_many_they_are(
    error: DomainError, result: str
) -> None:
    metrics = Metrics("")
    store: Any = Failing(error)
    measured = MeasuredStore(store, Signals(metrics, slow_seconds=1, log_all=False))
    key, name, draft = Key("k"), CounterName("c"), Draft(b"", "text/plain", None, is_json=False)

    for call in (
        measured.read(key),
        measured.write(key, draft),
        measured.swap(key, draft, '"e"'),
        measured.delete(key),
        measured.add(name, Increment()),
        measured.read_counter(name),
        measured.set_counter(name, 1, None),
        measured.delete_counter(name),
        measured.list_entries("", 1, None),
        measured.list_counters("", 1, None),
        measured.delete_prefix("kv", "a", 1, None),
    ):
        with pytest.raises(type(error)):
            await call

    counted = {labels: n for labels, n in metrics.operations.items() if n}
    assert counted == {(operation, result): 1 for operation in (*READS, *LISTS, *WRITES)}


async def test_bulk_operations_that_fail_as_one_are_counted_each_for_itself() -> None:
    metrics = Metrics("")
    store: Any = Failing(OutcomeUnknown("?"))
    measured = MeasuredStore(store, Signals(metrics, slow_seconds=1, log_all=False))
    key, name, draft = Key("k"), CounterName("c"), Draft(b"", "text/plain", None, is_json=False)

    for call in (
        measured.read_many([key] * 3, 1000),
        measured.write_many([(key, draft)] * 4),
        measured.add_many([(name, 1)] * 5),
    ):
        with pytest.raises(OutcomeUnknown):
            await call

    counted = {labels: n for labels, n in metrics.operations.items() if n}
    assert counted == {("read", "error"): 3, ("write", "error"): 4, ("add", "error"): 5}


def test_every_result_that_can_come_is_shown_as_zero_beforehand() -> None:
    metrics = Metrics("")

    assert set(metrics.operations.values()) == {0}
    assert {operation for operation, _ in metrics.operations} == {*READS, *LISTS, *WRITES}
    assert {operation for operation, result in metrics.operations if result == "error"} == {
        *READS,
        *LISTS,
        *WRITES,
    }
