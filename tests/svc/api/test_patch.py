"""PATCH: a JSON merge patch (RFC 7396) that keeps the TTL and loses no concurrent change."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

from tests.conftest import Backend
from tests.support.services import running_service
from tests.svc.api.client import Answer, Api, entry, left_ms, problem
from tests.svc.api.merge_patch_cases import MERGES

JSON = {"Content-Type": "application/json"}


async def stored(api: Api, value: object, query: str = "") -> Answer:
    return await api.put(f"/v1/kv/doc{query}", json.dumps(value).encode(), headers=JSON)


@pytest.mark.parametrize("case", MERGES)
async def test_a_patch_is_merged_as_the_rfc_says(api: Api, case: str) -> None:
    before, changes, after = MERGES[case]
    await stored(api, before)

    answer = await api.patch("/v1/kv/doc", changes)

    assert answer.status == 200
    assert answer.json() == {"key": "doc", "etag": answer.etag, "ttl": 31_104_000}
    read = await api.get("/v1/kv/doc")
    assert (read.json(), read.etag) == (after, answer.etag)
    assert read.headers["Content-Type"] == "application/json"


async def test_numbers_that_were_not_patched_keep_every_digit(api: Api) -> None:
    await api.put("/v1/kv/doc", b'{"big":123456789012345678901234567890}', headers=JSON)

    await api.patch("/v1/kv/doc", {"more": 2**63})

    assert (await api.get("/v1/kv/doc")).json() == {
        "big": 123456789012345678901234567890,
        "more": 2**63,
    }


async def test_a_patch_makes_a_new_version(api: Api) -> None:
    etag = (await stored(api, {"a": 1})).etag

    answer = await api.patch("/v1/kv/doc", {})

    assert answer.etag != etag


async def test_who_prefers_minimal_gets_no_body(api: Api) -> None:
    await stored(api, {"a": 1})

    answer = await api.patch("/v1/kv/doc", {"a": 2}, headers={"Prefer": "return=minimal"})

    assert (answer.status, answer.body) == (204, b"")
    assert answer.etag == (await api.get("/v1/kv/doc")).etag


@pytest.mark.parametrize(("ttl", "low", "high"), [("50", 45_000, 50_000), ("none", -1, -1)])
async def test_a_patch_keeps_the_ttl(
    api: Api, backend: Backend, ttl: str, low: int, high: int
) -> None:
    await stored(api, {"a": 1}, f"?ttl={ttl}")

    answer = await api.patch("/v1/kv/doc", {"a": 2})

    assert low <= left_ms(backend, entry("doc")) <= high
    assert (answer.json()["ttl"] is None) == (ttl == "none")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "merge-patch+json", ""])
async def test_another_media_type_is_refused_with_the_right_one(
    api: Api, content_type: str
) -> None:
    await stored(api, {"a": 1})

    answer = await api.send(
        "PATCH", "/v1/kv/doc", b'{"a":2}', headers={"Content-Type": content_type}
    )

    problem(answer, 415, "media_type_unsupported")
    assert answer.headers["Accept-Patch"] == "application/merge-patch+json"
    assert (await api.get("/v1/kv/doc")).json() == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    ["Application/Merge-Patch+JSON", "application/merge-patch+json; charset=utf-8"],
)
async def test_the_media_type_is_read_as_http_reads_it(api: Api, content_type: str) -> None:
    await stored(api, {"a": 1})

    answer = await api.patch("/v1/kv/doc", {"a": 2}, headers={"Content-Type": content_type})

    assert answer.status == 200


@pytest.mark.parametrize("body", [b"", b"plain text", b"\xff\xfe", b'{"a":1} x', b"{'a':1}"])
async def test_what_is_not_json_cannot_be_patched(api: Api, body: bytes) -> None:
    await api.put("/v1/kv/doc", body, headers={"Content-Type": "text/plain"})

    answer = await api.patch("/v1/kv/doc", {"a": 2})

    assert problem(answer, 409, "not_json")["applied"] == "no"
    assert (await api.get("/v1/kv/doc")).body == body


async def test_json_under_another_type_is_patched_and_keeps_its_type(api: Api) -> None:
    await api.put("/v1/kv/doc", b'{"a":1}', headers={"Content-Type": "application/geo+json"})

    assert (await api.patch("/v1/kv/doc", {"a": 2})).status == 200

    read = await api.get("/v1/kv/doc")
    assert (read.json(), read.headers["Content-Type"]) == ({"a": 2}, "application/geo+json")


async def test_what_is_missing_cannot_be_patched(api: Api) -> None:
    problem(await api.patch("/v1/kv/doc", {"a": 1}), 404, "key_missing")
    assert await api.keys() == []


async def test_a_patch_honours_if_match(api: Api) -> None:
    stale = (await stored(api, {"a": 1})).etag
    current = (await stored(api, {"a": 2})).etag

    refused = await api.patch("/v1/kv/doc", {"a": 3}, headers={"If-Match": stale})
    weak = await api.patch("/v1/kv/doc", {"a": 3}, headers={"If-Match": f"W/{current}"})
    done = await api.patch("/v1/kv/doc", {"b": 4}, headers={"If-Match": f"{stale}, {current}"})

    problem(refused, 412, "precondition_failed")
    assert refused.etag == current
    assert weak.status == 412
    assert done.status == 200
    assert (await api.get("/v1/kv/doc")).json() == {"a": 2, "b": 4}


async def test_a_malformed_if_match_is_refused(api: Api) -> None:
    await stored(api, {"a": 1})

    problem(await api.patch("/v1/kv/doc", {}, headers={"If-Match": "abc"}), 400, "header_invalid")


async def test_a_patch_takes_no_parameters(api: Api) -> None:
    await stored(api, {"a": 1})

    said = problem(await api.patch("/v1/kv/doc?ttl=5", {"a": 2}), 400, "query_invalid")

    assert "ttl" in said["detail"]


async def test_50_clients_lose_nothing(pods: tuple[Api, Api]) -> None:
    await stored(pods[0], {})

    answers = await asyncio.gather(
        *(pods[i % 2].patch("/v1/kv/doc", {f"client-{i}": i}) for i in range(50))
    )

    assert {a.status for a in answers} == {200}
    assert len({a.etag for a in answers}) == 50
    assert (await pods[0].get("/v1/kv/doc")).json() == {f"client-{i}": i for i in range(50)}


async def test_patches_and_swaps_lose_nothing_to_each_other(pods: tuple[Api, Api]) -> None:
    await stored(pods[0], {"swaps": 0})
    patched = asyncio.Event()

    async def swap(api: Api) -> int:
        """Add one by compare-and-swap, repeatedly, until all patches have ended."""
        swaps = 0
        while not patched.is_set():
            seen = await api.get("/v1/kv/doc")
            body = json.dumps({**seen.json(), "swaps": seen.json()["swaps"] + 1}).encode()
            headers = {**JSON, "If-Match": seen.etag}
            swaps += (await api.put("/v1/kv/doc", body, headers=headers)).status == 200
        return swaps

    async def patch() -> None:
        for i in range(60):
            assert (await pods[0].patch("/v1/kv/doc", {f"patch-{i}": i})).status == 200
        patched.set()

    *swaps, _ = await asyncio.gather(*(swap(pods[i % 2]) for i in range(4)), patch())

    left = (await pods[0].get("/v1/kv/doc")).json()
    assert left == {"swaps": sum(filter(None, swaps)), **{f"patch-{i}": i for i in range(60)}}


async def test_of_50_patches_of_one_version_exactly_one_succeeds(pods: tuple[Api, Api]) -> None:
    etag = (await stored(pods[0], {})).etag

    answers = await asyncio.gather(
        *(pods[i % 2].patch("/v1/kv/doc", {"i": i}, headers={"If-Match": etag}) for i in range(50))
    )

    assert sorted(a.status for a in answers) == [200] + [412] * 49
    winner = next(i for i, a in enumerate(answers) if a.status == 200)
    assert (await pods[0].get("/v1/kv/doc")).json() == {"i": winner}


async def test_what_would_be_too_large_when_merged_is_refused(api: Api) -> None:
    settings = dataclasses.replace(api.service.settings, max_value_bytes=1000)
    async with running_service(settings) as service:
        small = Api(service)
        await stored(small, {"a": "x" * 600})

        answer = await small.patch("/v1/kv/doc", {"b": "y" * 600})

        problem(answer, 413, "body_too_large")
        assert (await small.get("/v1/kv/doc")).json() == {"a": "x" * 600}
        problem(await small.patch("/v1/kv/doc", {"b": "y" * 1000}), 413, "body_too_large")


NUMBERS = b'"a":0.12345678901234567890,"b":1e-400,"c":-0,"d":[1.10,{"e":1E5}],"f":' + b"9" * 30


async def test_members_that_a_patch_does_not_name_keep_their_digits(api: Api) -> None:
    await api.put("/v1/kv/doc", b'{"n":{%b},"o":1}' % NUMBERS)

    await api.patch("/v1/kv/doc", b'{"o":2.50,"n":{"new":-0.0}}')

    expected = b'{"n":{%b,"new":-0.0},"o":2.50}' % NUMBERS
    assert (await api.get("/v1/kv/doc")).body == expected


async def test_the_plain_api_keeps_the_digits_too(api: Api) -> None:
    written = await api.put("/doc", b"{%b}" % NUMBERS)

    assert (await api.get("/v1/kv/doc")).body == b"{%b}" % NUMBERS
    for answer in (written, await api.get("/doc")):
        assert answer.body.startswith(b"{%b," % NUMBERS)
