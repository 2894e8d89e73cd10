"""The plain interface: JSON objects at any path, and the hit counter at the root."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Api, age, entry, left_ms, problem, run_out

DEFAULT_TTL = 31_104_000
OBJECT: dict[str, Any] = {
    "text": "tea ☕",
    "whole": 7,
    "large": 12345678901234567890123,
    "fraction": 1.5,
    "round": 2.0,
    "yes": True,
    "nothing": None,
    "list": [1, "two", [3.0]],
    "nested": {"last_updated": "inside", "ttl": "inside"},
}


async def test_an_object_is_stored_and_returned_with_time_and_ttl(api: Api) -> None:
    before = int(time.time()) - 1

    written = await api.put("/tea", json={"kind": "green"})
    read = await api.get("/tea")

    assert (written.status, read.status) == (201, 200)
    for answer in (written, read):
        assert answer.headers["Content-Type"] == "application/json"
        said = answer.json()
        assert said.keys() == {"kind", "last_updated", "ttl"}
        assert said["kind"] == "green"
        assert before <= said["last_updated"] <= time.time() + 1
        assert isinstance(said["last_updated"], int)
    assert written.json()["ttl"] == DEFAULT_TTL
    assert DEFAULT_TTL - 60 <= read.json()["ttl"] <= DEFAULT_TTL


async def test_values_keep_their_json_types(api: Api) -> None:
    written = await api.put("/a/b/c", json=OBJECT)
    read = await api.get("/a/b/c")

    for answer in (written, read):
        said = answer.json()
        stamps = {"last_updated": said["last_updated"], "ttl": said["ttl"]}
        assert said == {**OBJECT, **stamps}
        assert [type(v) for v in said.values()] == [type(v) for v in {**OBJECT, **stamps}.values()]


async def test_a_clients_own_time_and_ttl_are_overwritten(api: Api) -> None:
    theirs = {"a": 1, "last_updated": "never", "ttl": 5}

    for answer in (await api.put("/a", json=theirs), await api.get("/a")):
        said = answer.json()
        assert said["a"] == 1
        assert abs(said["last_updated"] - time.time()) < 60
        assert DEFAULT_TTL - 60 <= said["ttl"] <= DEFAULT_TTL


async def test_a_second_put_replaces_the_whole_object(api: Api) -> None:
    await api.put("/a", json={"one": 1})

    answer = await api.put("/a", json={"two": 2})

    assert answer.status == 201
    assert (await api.get("/a")).json().keys() == {"two", "last_updated", "ttl"}


async def test_an_object_expires_after_the_default_ttl(api: Api, backend: Backend) -> None:
    await api.put("/a", json={})
    assert DEFAULT_TTL * 1000 - 2000 <= left_ms(backend, entry("a")) <= DEFAULT_TTL * 1000

    run_out(backend, entry("a"))

    problem(await api.get("/a"), 404, "key_missing")


async def test_no_content_type_is_asked_for(api: Api) -> None:
    answer = await api.put("/a", b'{"a":1}', skip_auto_headers=["Content-Type"])

    assert answer.status == 201


@pytest.mark.parametrize(
    "body", [b"[]", b'"x"', b"1", b"null", b"true", b"", b"{", b"a=1", b"{}{}"]
)
async def test_what_is_no_object_is_refused(api: Api, body: bytes) -> None:
    problem(await api.put("/a", body), 400, "body_invalid")
    assert await api.keys() == []


async def test_what_was_never_put_is_missing(api: Api) -> None:
    problem(await api.get("/nothing/here"), 404, "key_missing")
    assert (await api.head("/nothing/here")).status == 404


@pytest.mark.parametrize("body", [b"plain text", b"[1]", b"\xff\x00", b""])
async def test_an_entry_that_is_not_an_object_is_refused(api: Api, body: bytes) -> None:
    await api.put("/v1/kv/a", body)

    problem(await api.get("/a"), 409, "not_json")


async def test_both_views_show_one_entry(api: Api) -> None:
    plain = await api.put("/a/b", json={"n": 1})
    entry = await api.get("/v1/kv/a/b")
    # Weak, because the plain body has the ttl too, which changes.
    assert (entry.json(), f"W/{entry.etag}") == ({"n": 1}, plain.etag)
    assert (await api.get("/a/b")).etag == plain.etag
    assert entry.headers["Content-Type"] == "application/json"
    assert await api.keys() == ["a/b"]

    await api.put("/v1/kv/a/b?ttl=60", b' {"n" : 2} ', headers={"Content-Type": "text/plain"})
    said = (await api.get("/a/b")).json()
    assert said["n"] == 2
    assert 30 <= said["ttl"] <= 60

    await api.delete("/v1/kv/a/b")
    problem(await api.get("/a/b"), 404, "key_missing")


async def test_an_entry_that_never_expires_says_so(api: Api) -> None:
    await api.put("/v1/kv/a?ttl=none", b"{}")

    assert (await api.get("/a")).json()["ttl"] is None


async def test_time_and_ttl_stored_by_another_route_are_overwritten_when_shown(api: Api) -> None:
    await api.put("/v1/kv/a?ttl=60", b'{"ttl":"mine","last_updated":"mine"}')

    said = (await api.get("/a")).json()

    assert 30 <= said["ttl"] <= 60
    assert isinstance(said["last_updated"], int)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/a%2Fb", "a/b"),
        ("/a%252Fb", "a%2Fb"),
        ("/%25FF", "%FF"),
        ("/caf%C3%A9+x", "café+x"),
        ("/v2/x", "v2/x"),
        ("/v1x", "v1x"),
        ("/documents", "documents"),
        ("/uid", "uid"),
        ("/a/v1/docs", "a/v1/docs"),
        ("/favicon.ico", "favicon.ico"),
        ("/livez", "livez"),
        ("/metrics", "metrics"),
    ],
)
async def test_any_other_path_is_a_key(api: Api, path: str, key: str) -> None:
    assert (await api.put(path, json={"path": path})).status == 201

    assert await api.keys() == [key]
    assert (await api.get(path)).json()["path"] == path


@pytest.mark.parametrize(
    "path", ["//", "//a", "/a//b", "/a/", "/a/../b", "/%2E%2e", "/%FF", "/%00"]
)
async def test_a_path_that_can_name_nothing_is_refused(api: Api, path: str) -> None:
    problem(await api.put(path, json={}), 400, "key_invalid")
    problem(await api.get(path), 400, "key_invalid")


async def test_a_path_may_be_too_long(api: Api) -> None:
    assert (await api.put("/" + "p" * 512, json={})).status == 201
    problem(await api.put("/" + "p" * 513, json={}), 414, "key_too_long")


@pytest.mark.parametrize("segment", ["v1", "docs", "ui"])
@pytest.mark.parametrize("form", ["/{}", "/{}/", "/{}/thing", "/{}%2Fthing", "/%{:02x}{}"])
async def test_reserved_first_segments_are_never_stored(api: Api, segment: str, form: str) -> None:
    path = form.format(segment) if form.count("{") == 1 else f"/%{ord(segment[0]):02x}{segment[1:]}"

    answer = await api.put(path, json={"a": 1})

    assert answer.status in {404, 405}
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await api.keys() == []


@pytest.mark.parametrize("key", ["v1", "docs", "ui/x", "v1/kv/x"])
async def test_reserved_keys_stay_reachable_as_entries(api: Api, key: str) -> None:
    await api.put(f"/v1/kv/{key}", b"x")

    assert (await api.get(f"/v1/kv/{key}")).body == b"x"


@pytest.mark.parametrize(
    ("path", "right"),
    [("/V1/kv/x", "/v1"), ("/Docs", "/docs"), ("/UI/", "/ui"), ("/V1%2Fkv%2Fx", "/v1")],
)
async def test_a_misspelt_reserved_segment_stores_nothing_and_is_told(
    api: Api, path: str, right: str
) -> None:
    for answer in (await api.put(path, json={"a": 1}), await api.get(path)):
        assert f"write {right};" in problem(answer, 404, "route_missing")["detail"]

    assert await api.keys() == []


async def test_a_segment_that_only_begins_alike_is_a_key(api: Api) -> None:
    for path in ("/V1s", "/uis/x", "/DOCS.html"):
        assert (await api.put(path, json={})).status == 201


async def test_json_ends_a_line(api: Api) -> None:
    """As a terminal wants it, whose prompt follows."""
    answers = [
        await api.put("/tea", json={"a": 1}),
        await api.get("/tea"),
        await api.get("/", headers={"Accept": "application/json"}),
        await api.get("/v1/kv"),
        await api.get("/v1/limits"),
        await api.get("/v1/nothing"),
        await api.get("/v1/kv/nothing"),
        await api.put("/v1/kv/n", b"1"),
        await api.post("/v1/counters/n/increments"),
        await api.post("/v1/batch", json={"operations": [{"op": "get", "key": "n"}]}),
    ]

    assert [answer.body for answer in answers if not answer.body.endswith(b"}\n")] == []


async def test_the_root_counts_visits(api: Api) -> None:
    for n in (1, 2, 3):
        answer = await api.get("/")
        assert (answer.status, answer.body) == (200, f"Count is {n}.".encode())
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["Cache-Control"] == "no-store"


async def test_visits_at_once_are_counted_once_each(pods: tuple[Api, Api]) -> None:
    answers = await asyncio.gather(*(pods[i % 2].get("/") for i in range(60)))

    assert {a.body for a in answers} == {f"Count is {n}.".encode() for n in range(1, 61)}


@pytest.mark.parametrize("accept", ["application/json", "text/html;q=0.5, application/json"])
async def test_the_count_may_be_asked_for_as_json(api: Api, accept: str) -> None:
    await api.get("/")

    answer = await api.get("/", headers={"Accept": accept})

    assert answer.json() == {"count": 2, "pod": "pod-1", "version": "1.2.3", "track": "canary"}
    assert answer.headers["Content-Type"] == "application/json"


async def test_a_head_request_is_not_counted(api: Api) -> None:
    for _ in range(3):
        answer = await api.head("/")
        assert (answer.status, answer.body) == (200, b"")

    assert (await api.get("/")).body == b"Count is 1."


async def test_probes_are_not_counted(api: Api) -> None:
    for probe in ("/livez", "/readyz", "/statusz", "/metrics", "/version"):
        async with api.service.client.get(api.service.admin_base + probe) as response:
            await response.read()

    assert (await api.get("/")).body == b"Count is 1."


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
async def test_the_root_is_only_read(api: Api, method: str) -> None:
    answer = await api.send(method, "/", b"{}")

    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "OPTIONS"}


async def test_a_query_changes_no_key(api: Api) -> None:
    await api.put("/a", json={"n": 1})

    assert (await api.get("/a?cache=bust")).json()["n"] == 1


async def test_the_stored_object_has_no_time_and_ttl(api: Api) -> None:
    await api.put("/a", json={"n": 1, "ttl": 5, "last_updated": 6})

    assert json.loads((await api.get("/v1/kv/a")).body) == {"n": 1}


async def test_a_read_is_304_while_the_entry_is_unchanged(api: Api, backend: Backend) -> None:
    weak = (await api.put("/a", json={"n": 1})).etag
    age(backend, "a", seconds=100)
    strong = (await api.get("/v1/kv/a")).etag
    modified = (await api.get("/v1/kv/a")).headers["Last-Modified"]

    for headers in (
        {"If-None-Match": weak},
        {"If-None-Match": strong},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
    ):
        answer = await api.get("/a", headers=headers)
        assert (answer.status, answer.body, answer.etag) == (304, b"", weak), headers

    await api.put("/a", json={"n": 2})
    for headers in ({"If-None-Match": weak}, {"If-Modified-Since": modified}):
        assert (await api.get("/a", headers=headers)).status == 200


async def test_if_match_compares_strongly_and_a_weak_etag_matches_nothing(api: Api) -> None:
    weak = (await api.put("/a", json={"n": 1})).etag
    strong = (await api.get("/v1/kv/a")).etag

    for tag in (weak, '"x"'):
        problem(await api.get("/a", headers={"If-Match": tag}), 412, "precondition_failed")
        refused = await api.put("/a", b"{}", headers={"If-Match": tag})
        problem(refused, 412, "precondition_failed")

    assert (await api.get("/a", headers={"If-Match": "*"})).status == 200
    assert (await api.put("/a", json={"n": 2}, headers={"If-Match": strong})).status == 201
    refused = await api.put("/a", json={"n": 3}, headers={"If-None-Match": "*"})
    problem(refused, 412, "precondition_failed")
    assert (await api.get("/a")).json()["n"] == 2
