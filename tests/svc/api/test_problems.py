"""Problems: every error is a complete problem+json, and says whether the change was applied."""

from __future__ import annotations

import dataclasses
import re

import pytest

from svc.api.context import LIFECYCLE
from svc.settings import Settings
from tests.support.raw_http import raw_connection
from tests.support.services import running_service
from tests.support.waiting import eventually
from tests.svc.api.client import Api, problem

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


async def test_an_unknown_route_is_a_problem(api: Api) -> None:
    for path in ("/v1", "/v1/", "/v1/nothing", "/v1/counters/c/increments/2", "/v1/batch/x"):
        said = problem(await api.get(path), 404, "route_missing")
        assert said["applied"] == "no"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/limits", {"GET", "HEAD"}),
        ("GET", "/v1/batch", {"POST"}),
        ("PUT", "/v1/kv", {"GET", "HEAD", "DELETE"}),
        ("TRACE", "/v1/kv/a", {"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"}),
        ("POST", "/v1/counters/c", {"GET", "HEAD", "PUT", "DELETE"}),
        ("GET", "/v1/counters/c/increments", {"POST"}),
        ("POST", "/v1/counters", {"GET", "HEAD", "DELETE"}),
        ("DELETE", "/plain", {"GET", "HEAD", "PUT"}),
    ],
)
async def test_a_method_a_route_lacks_is_a_problem_that_lists_the_others(
    api: Api, method: str, path: str, allowed: set[str]
) -> None:
    answer = await api.send(method, path)

    said = problem(answer, 405, "method_not_allowed")
    assert method in said["detail"]
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {*allowed, "OPTIONS"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/limits", {"GET", "HEAD"}),
        ("/v1/batch", {"POST"}),
        ("/v1/kv", {"GET", "HEAD", "DELETE"}),
        ("/v1/kv/a", {"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"}),
        ("/v1/counters", {"GET", "HEAD", "DELETE"}),
        ("/v1/counters/c", {"GET", "HEAD", "PUT", "DELETE"}),
        ("/v1/counters/c/increments", {"POST"}),
        ("/", {"GET", "HEAD"}),
        ("/plain", {"GET", "HEAD", "PUT"}),
    ],
)
async def test_options_lists_the_methods_of_a_route(api: Api, path: str, allowed: set[str]) -> None:
    answer = await api.send("OPTIONS", path)

    assert (answer.status, answer.body) == (204, b"")
    assert set(answer.headers["Allow"].split(",")) == {*allowed, "OPTIONS"}


async def test_a_problem_has_a_type_and_a_title_of_its_own(api: Api) -> None:
    missing = problem(await api.get("/v1/kv/none"), 404, "key_missing")
    route = problem(await api.get("/v1/none"), 404, "route_missing")

    assert missing["type"] != route["type"]
    assert missing["type"].endswith("key_missing")
    assert missing["title"]
    assert missing["detail"]


async def test_a_problem_is_never_cached(api: Api) -> None:
    assert (await api.get("/v1/kv/none")).headers["Cache-Control"] == "no-store"


async def test_the_trace_id_is_the_callers(api: Api) -> None:
    for path in ("/v1/kv/none", "/v1/none", "/v1/kv/%FF"):
        answer = await api.get(path, headers={"traceparent": PARENT})
        assert answer.json()["trace_id"] == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "garbage",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{TRACE}",
    ],
)
async def test_without_a_trace_the_service_makes_an_id(api: Api, parent: str | None) -> None:
    headers = {} if parent is None else {"traceparent": parent}

    ids = {(await api.get("/v1/kv/none", headers=headers)).json()["trace_id"] for _ in range(3)}

    assert len(ids) == 3
    assert all(re.fullmatch("(?!0{32})[0-9a-f]{32}", made) for made in ids)


async def test_one_request_too_many_is_refused_at_once_and_nothing_applied(api: Api) -> None:
    # The first request is served for some seconds.
    settings = dataclasses.replace(
        api.service.settings, max_in_flight=1, queue_ms=0, fault_latency_ms=3000
    )
    async with running_service(settings) as service, raw_connection(service.port) as slow:
        await slow.send(b"PUT /v1/kv/slow HTTP/1.1\r\nHost: kv\r\nContent-Length: 1\r\n\r\nx")
        await eventually(lambda: service.app[LIFECYCLE].in_flight == 1, what="the first request")
        answer = await Api(service).get("/v1/limits", headers={"traceparent": PARENT})

        said = problem(answer, 503, "overloaded")
        assert (said["applied"], said["retryable"]) == ("no", True)
        assert answer.headers["Retry-After"].isdigit()
        assert answer.headers["KV-Pod"] == "pod-1"
        assert said["trace_id"] == TRACE

        assert (await slow.answer()).status == 201
        assert (await Api(service).put("/v1/kv/a", b"x")).status == 201


async def test_a_deliberate_fault_is_a_problem_and_spares_the_plain_face(api: Api) -> None:
    settings = dataclasses.replace(api.service.settings, fault_error_ratio=1.0)
    async with running_service(settings) as service:
        faulty = Api(service)
        said = problem(await faulty.put("/v1/kv/a", b"x"), 500, "injected_fault")
        plain = await faulty.put("/a", json={})

    assert said["applied"] == "no"
    assert plain.status == 201


async def test_a_deliberate_delay_changes_no_answer(api: Api) -> None:
    settings = dataclasses.replace(api.service.settings, fault_latency_ms=1)
    async with running_service(settings) as service:
        assert (await Api(service).put("/v1/kv/a", b"x")).status == 201


@pytest.mark.parametrize(
    ("role", "served", "missing"),
    [
        (
            "kv",
            ["/v1/kv", "/v1/limits", "/"],
            ["/v1/counters", "/v1/counters/c"],
        ),
        (
            "counters",
            ["/v1/counters", "/v1/limits"],
            ["/v1/kv", "/v1/kv/", "/v1/kv/a", "/", "/a"],
        ),
    ],
)
async def test_a_process_serves_its_roles_only(
    api: Api, role: str, served: list[str], missing: list[str]
) -> None:
    await api.put("/v1/kv/a", b"{}")
    await api.step("c")
    settings = dataclasses.replace(api.service.settings, roles=frozenset({role}))
    async with running_service(settings) as service:
        one = Api(service)
        for path in served:
            assert (await one.get(path)).status == 200
        for path in missing:
            answer = await one.get(path)
            problem(answer, 404, "route_missing")
            assert answer.headers["KV-Pod"] == "pod-1"
        for path in {"/v1/kv/a", "/a"} & set(missing):
            problem(await one.put(path, b"{}"), 404, "route_missing")
        if role == "kv":
            problem(await one.step("c"), 404, "route_missing")


async def test_the_limits_are_shown_and_are_as_promised(api: Api) -> None:
    defaults = Settings(store_url=api.service.settings.store_url)
    async with running_service(defaults, is_patient=False) as service:
        answer = await Api(service).get("/v1/limits")

    assert answer.status == 200
    assert answer.json() == {
        "max_value_bytes": 1_048_576,
        "max_json_depth": 64,
        "max_json_nodes": 200_000,
        "max_key_bytes": 512,
        "max_batch_operations": 500,
        "max_batch_bytes": 4_194_304,
        "max_page_items": 1000,
        "max_ttl_seconds": 315_360_000,
        "default_ttl_seconds": 31_104_000,
        "idempotency_ttl_seconds": 900,
        "header_timeout_seconds": 10.0,
        "body_timeout_seconds": 10.0,
        "send_timeout_seconds": 10.0,
        "store_timeout_ms": 500,
        "max_in_flight": 1024,
        "max_buffered_bytes": 67_108_864,
        "max_watchers": 500,
        "max_watchers_per_token": 100,
        "max_watcher_bytes": 1_048_576,
    }


async def test_the_limits_shown_are_the_settings(api: Api) -> None:
    settings = dataclasses.replace(api.service.settings, max_value_bytes=99, idempotency_ttl=7)
    async with running_service(settings) as service:
        said = (await Api(service).get("/v1/limits")).json()

    assert (said["max_value_bytes"], said["idempotency_ttl_seconds"]) == (99, 7)
