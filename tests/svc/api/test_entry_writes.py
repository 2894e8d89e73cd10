"""PUT and DELETE of an entry: the response, what is stored, and for how long."""

from __future__ import annotations

import dataclasses
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Backend
from tests.support.services import running_service
from tests.svc.api.client import Api, entry, left_ms, problem

DEFAULT_TTL = 31_104_000


async def test_a_put_creates_and_then_replaces(api: Api) -> None:
    created = await api.put("/v1/kv/a/b", b"1")
    replaced = await api.put("/v1/kv/a/b", b"2")

    assert (created.status, replaced.status) == (201, 200)
    for answer in (created, replaced):
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json() == {"key": "a/b", "etag": answer.etag, "ttl": DEFAULT_TTL}
    assert created.etag != replaced.etag
    assert (await api.get("/v1/kv/a/b")).body == b"2"


async def test_the_same_bytes_again_are_a_new_version(api: Api) -> None:
    etags = {(await api.put("/v1/kv/a", b"same")).etag for _ in range(5)}

    assert len(etags) == 5


@pytest.mark.parametrize(
    "preference", ["return=minimal", "foo, Return=Minimal", "return = minimal"]
)
async def test_who_prefers_minimal_gets_no_body(api: Api, preference: str) -> None:
    created = await api.put("/v1/kv/a", b"1", headers={"Prefer": preference})
    replaced = await api.put("/v1/kv/a", b"2", headers={"Prefer": preference})

    assert (created.status, created.body) == (201, b"")
    assert (replaced.status, replaced.body) == (204, b"")
    assert (await api.get("/v1/kv/a")).etag == replaced.etag


async def test_another_preference_is_ignored(api: Api) -> None:
    answer = await api.put("/v1/kv/a", b"1", headers={"Prefer": "return=representation"})

    assert answer.status == 201
    assert answer.json()["key"] == "a"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/plain;charset=ISO-8859-1", "image/png", "x", 'a/b; c="d"', "x" * 255],
)
async def test_any_content_type_is_kept_as_it_was_sent(api: Api, content_type: str) -> None:
    await api.put("/v1/kv/a", b"\xff", headers={"Content-Type": content_type})

    assert (await api.get("/v1/kv/a")).headers["Content-Type"] == content_type


async def test_without_a_content_type_an_entry_is_bytes(api: Api) -> None:
    await api.put("/v1/kv/a", b"x", skip_auto_headers=["Content-Type"])

    assert (await api.get("/v1/kv/a")).headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("content_type", ["x" * 256, "text/é", "", " "])
async def test_a_content_type_that_could_not_be_sent_back_is_refused(
    api: Api, content_type: str
) -> None:
    answer = await api.put("/v1/kv/a", b"x", headers={"Content-Type": content_type})

    problem(answer, 400, "content_type_invalid")
    assert await api.keys() == []


@given(body=st.binary(max_size=2000))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_stored_bytes_are_the_bytes_sent(api: Api, body: bytes) -> None:
    await api.put("/v1/kv/bytes", body)

    answer = await api.get("/v1/kv/bytes")

    assert answer.body == body
    assert answer.headers["Content-Length"] == str(len(body))


async def test_json_is_kept_byte_for_byte_too(api: Api) -> None:
    body = b'{ "b": 1.10,\n "a": [1e2, 18446744073709551616, "\\u00e9"] }\n'
    await api.put("/v1/kv/a", body, headers={"Content-Type": "application/json"})

    assert (await api.get("/v1/kv/a")).body == body


async def test_a_megabyte_is_kept_whole(api: Api) -> None:
    body = os.urandom(1 << 20)

    assert (await api.put("/v1/kv/large", body)).status == 201
    assert (await api.get("/v1/kv/large")).body == body


@pytest.mark.parametrize("seconds", [1, 60, 315_360_000])
async def test_a_ttl_is_whole_seconds(api: Api, backend: Backend, seconds: int) -> None:
    answer = await api.put(f"/v1/kv/a?ttl={seconds}", b"x")

    assert answer.json()["ttl"] == seconds
    assert seconds * 1000 - 2000 <= left_ms(backend, entry("a")) <= seconds * 1000


async def test_without_a_ttl_the_default_holds(api: Api, backend: Backend) -> None:
    assert (await api.put("/v1/kv/a", b"x")).json()["ttl"] == DEFAULT_TTL
    assert DEFAULT_TTL * 1000 - 2000 <= left_ms(backend, entry("a")) <= DEFAULT_TTL * 1000


async def test_the_default_ttl_is_a_setting(api: Api) -> None:
    settings = dataclasses.replace(api.service.settings, default_ttl=77)
    async with running_service(settings) as service:
        answer = await Api(service).put("/v1/kv/a", b"x")

    assert answer.json()["ttl"] == 77


async def test_an_entry_with_ttl_none_never_expires(api: Api, backend: Backend) -> None:
    answer = await api.put("/v1/kv/a?ttl=none", b"x")

    assert answer.json()["ttl"] is None
    assert left_ms(backend, entry("a")) == -1


@pytest.mark.parametrize(("was", "low", "high"), [("50", 45, 50), ("none", None, None)])
async def test_ttl_keep_leaves_the_ttl_as_it_was(
    api: Api, backend: Backend, was: str, low: int | None, high: int | None
) -> None:
    await api.put(f"/v1/kv/a?ttl={was}", b"1")

    answer = await api.put("/v1/kv/a?ttl=keep", b"2")

    kept = answer.json()["ttl"]
    assert answer.status == 200
    assert (await api.get("/v1/kv/a")).body == b"2"
    if low is None or high is None:
        assert kept is None
        assert left_ms(backend, entry("a")) == -1
    else:
        assert low <= kept <= high
        assert low * 1000 <= left_ms(backend, entry("a")) <= high * 1000


async def test_ttl_keep_of_a_new_entry_is_the_default(api: Api) -> None:
    answer = await api.put("/v1/kv/a?ttl=keep", b"1")

    assert (answer.status, answer.json()["ttl"]) == (201, DEFAULT_TTL)


@pytest.mark.parametrize("seconds", ["none", "60"])
async def test_a_put_replaces_the_ttl_too(api: Api, backend: Backend, seconds: str) -> None:
    await api.put("/v1/kv/a?ttl=100", b"1")

    await api.put(f"/v1/kv/a?ttl={seconds}", b"2")

    assert left_ms(backend, entry("a")) <= 60_000


@pytest.mark.parametrize(
    "ttl",
    [
        *("0", "-1", "1.5", "1e3", "01", "", "abc", "None", "null", "true", "%2B5", "5s"),
        *("315360001", "999999999", "9" * 30, "%D9%A1", "5&ttl=5"),
    ],
)
async def test_another_ttl_is_refused_by_name(api: Api, ttl: str) -> None:
    said = problem(await api.put(f"/v1/kv/a?ttl={ttl}", b"x"), 400, "query_invalid")

    assert "ttl" in said["detail"]
    assert await api.keys() == []


async def test_an_unknown_parameter_is_refused_by_name(api: Api) -> None:
    said = problem(await api.put("/v1/kv/a?tll=5", b"x"), 400, "query_invalid")

    assert "tll" in said["detail"]
    assert await api.keys() == []


async def test_a_deleted_entry_is_gone(api: Api) -> None:
    await api.put("/v1/kv/a", b"x")

    answer = await api.delete("/v1/kv/a")

    assert (answer.status, answer.body) == (204, b"")
    problem(await api.get("/v1/kv/a"), 404, "key_missing")
    problem(await api.delete("/v1/kv/a"), 404, "key_missing")
