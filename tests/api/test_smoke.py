"""The main job, end to end."""

from __future__ import annotations

from tests.support.services import Service


async def test_an_entry_written_is_read_back_with_its_type_and_etag(service: Service) -> None:
    async with service.put(
        "/v1/kv/greeting", data=b"hello", headers={"Content-Type": "text/plain"}
    ) as answer:
        assert answer.status == 201
        etag = answer.headers["ETag"]

    async with service.get("/v1/kv/greeting") as answer:
        assert answer.status == 200
        assert await answer.read() == b"hello"
        assert answer.headers["Content-Type"] == "text/plain"
        assert answer.headers["ETag"] == etag


async def test_the_hit_counter_counts(service: Service) -> None:
    for expected in (1, 2):
        async with service.get("/") as answer:
            assert await answer.text() == f"Count is {expected}."
