"""Edge cases of the API that were found by a code review."""

from __future__ import annotations

import pytest

from tests.svc.api.client import Api


@pytest.mark.parametrize("query", ["ttl=none%0A", "ttl=keep%0A", "ttl=5%0A"])
async def test_a_newline_behind_a_ttl_is_refused_by_name(api: Api, query: str) -> None:
    answer = await api.put(f"/v1/kv/a?{query}", b"x")

    assert answer.status == 400
    assert "ttl" in answer.json()["detail"]


async def test_a_newline_behind_a_limit_is_refused_by_name(api: Api) -> None:
    answer = await api.get("/v1/kv?limit=10%0A")

    assert answer.status == 400
    assert "limit" in answer.json()["detail"]


async def test_an_object_does_not_grow_when_it_is_stored(api: Api) -> None:
    body = b'{"a":[' + b",".join([b"1e15"] * 190_000) + b"]}"

    answer = await api.put("/grown", body)

    assert answer.status == 201
    assert (await api.get("/v1/kv/grown")).body == body
