"""Ambiguous JSON is refused by every route that accepts JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Answer, Api, problem

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def backend(one_backend: Backend) -> Backend:
    """What is refused here is refused before the store is asked."""
    return one_backend


#: Values that are refused as ``x`` in a document ``{"a": x}``.
REFUSED = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "beyond a double": b"1e999",
    "minus beyond a double": b"-1e999",
    "a duplicate key": b'{"b":1,"b":2}',
    "a duplicate key by escape": b'{"b":1,"\\u0062":2}',
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate": b'"\\udc00"',
    "surrogates swapped": b'"\\udc00\\ud800"',
    "a lone surrogate as a key": b'{"\\ud800":1}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "no UTF-8": b'"\xff"',
    "65 levels": b"[" * 64 + b"]" * 64,
    "65 levels of objects": b'{"a":' * 64 + b"1" + b"}" * 64,
    "500 levels": b"[" * 499 + b"]" * 499,
    "a control character": b'"\x01"',
    "a leading zero": b"01",
    "a trailing comma": b"[1,]",
    "single quotes": b"'x'",
    "a comment": b"1 /* one */",
    "nothing": b"",
    "an unquoted word": b"undefined",
}
#: The same for counters, whose bodies may be less large.
LARGE = {
    "10 000 levels": b"[" * 10_000 + b"]" * 10_000,
    "10 000 open levels": b"[" * 10_000,
    "10 000 objects": b'{"a":' * 10_000,
    "5000 digits": b"1" * 5000,
    "minus 5000 digits": b"-" + b"9" * 5000,
}

Route = Callable[[Api, bytes], Awaitable[Answer]]


async def put(api: Api, body: bytes) -> Answer:
    return await api.put("/v1/kv/doc", body, headers=JSON)


async def put_plus_json(api: Api, body: bytes) -> Answer:
    return await api.put("/v1/kv/doc", body, headers={"Content-Type": "application/geo+json;a=b"})


async def post(api: Api, body: bytes) -> Answer:
    return await api.post("/v1/kv/docs/", body, headers=JSON)


async def plain_put(api: Api, body: bytes) -> Answer:
    return await api.put("/doc", body)


async def patch(api: Api, body: bytes) -> Answer:
    return await api.patch("/v1/kv/doc", body)


async def step(api: Api, body: bytes) -> Answer:
    return await api.post("/v1/counters/c/increments", body.replace(b'"a"', b'"by"', 1))


async def set_counter(api: Api, body: bytes) -> Answer:
    return await api.put("/v1/counters/c", body.replace(b'"a"', b'"value"', 1))


async def batch(api: Api, body: bytes) -> Answer:
    """Put the document into a batch. A refusal of its operation or of the whole batch counts."""
    operation = b'{"op":"put","key":"doc","value":' + body + b"}"
    answer = await api.post("/v1/batch", b'{"operations":[' + operation + b"]}")
    if answer.status == 200:
        (result,) = answer.json()["results"]
        assert (result["status"], result["code"]) == (400, "body_invalid")
    return answer


ROUTES: dict[str, Route] = {
    "put": put,
    "put of another json": put_plus_json,
    "post": post,
    "plain put": plain_put,
    "patch": patch,
    "step": step,
    "set counter": set_counter,
    "batch": batch,
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", REFUSED | LARGE)
async def test_what_is_no_strict_json_is_refused(api: Api, route: str, case: str) -> None:
    assert (await api.put("/v1/kv/other", b"{}", headers=JSON)).status == 201

    answer = await ROUTES[route](api, b'{"a":' + (REFUSED | LARGE)[case] + b"}")

    if not (route == "batch" and answer.status == 200):
        said = problem(answer, 400, "body_invalid")
        assert said["applied"] == "no"
        assert len(said["detail"]) < 500
    assert await api.keys() == ["other"]
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("tail", [b"x", b"{}", b"]", b"\0", b"}"])
async def test_nothing_may_follow_the_value(api: Api, route: str, tail: bytes) -> None:
    answer = await ROUTES[route](api, b'{"a":1}' + tail)

    problem(answer, 400, "body_invalid")
    assert await api.keys() == []


@pytest.mark.parametrize("route", ["put", "post", "plain put"])
@pytest.mark.parametrize(
    "value",
    [
        b"[" * 63 + b"]" * 63,
        b'{"a":' * 63 + b"1" + b"}" * 63,
        b"1" * 400,
        b'"\\ud83d\\ude00"',
        b"[" + b"[]," * 1000 + b"[]]",
        b"1e308",
        b"-0.0",
        b' \t\r\n"\\u0000" ',
    ],
)
async def test_what_is_strict_json_is_kept(api: Api, route: str, value: bytes) -> None:
    assert (await ROUTES[route](api, b'{"a":' + value + b"}")).status == 201


async def test_a_patch_may_be_64_levels_deep(api: Api) -> None:
    await put(api, b"{}")

    answer = await patch(api, b'{"a":' + b"[" * 63 + b"]" * 63 + b"}")

    assert answer.status == 200


async def test_a_value_in_a_batch_may_be_64_levels_deep(api: Api) -> None:
    answer = await api.post(
        "/v1/batch",
        b'{"operations":[{"op":"put","key":"a","value":' + b"[" * 64 + b"]" * 64 + b"}]}",
    )

    assert answer.json()["results"][0]["status"] == 201


@pytest.mark.parametrize(
    "body",
    [
        b'{"operations":[{"op":"get","key":"a"}],"operations":[{"op":"get","key":"b"}]}',
        b'{"operations":[{"op":"get","key":"a","key":"b"}]}',
        b'{"operations":[{"op":"delete","op":"get","key":"a"}]}',
    ],
)
async def test_a_batch_with_duplicate_keys_is_refused(api: Api, body: bytes) -> None:
    problem(await api.post("/v1/batch", body), 400, "body_invalid")


@pytest.mark.parametrize("body", [b'{"by":1,"by":2}', b'{"by":1,"max":5,"max":9}'])
async def test_an_increment_with_duplicate_keys_is_refused(api: Api, body: bytes) -> None:
    problem(await api.post("/v1/counters/c/increments", body), 400, "body_invalid")


async def test_bytes_without_a_json_content_type_are_not_validated(api: Api) -> None:
    answer = await api.put("/v1/kv/a", b"{NaN", headers={"Content-Type": "text/plain"})

    assert answer.status == 201
