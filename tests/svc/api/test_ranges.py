"""Parts of an entry: Range and If-Range."""

from __future__ import annotations

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Api, age, problem

BODY = b"0123456789"


@pytest.mark.parametrize(
    ("asked", "part", "where"),
    [
        ("bytes=0-0", b"0", "0-0"),
        ("bytes=2-5", b"2345", "2-5"),
        ("bytes=7-", b"789", "7-9"),
        ("bytes=7-999", b"789", "7-9"),
        ("bytes=-3", b"789", "7-9"),
        ("bytes=-999", BODY, "0-9"),
        ("Bytes=0-1", b"01", "0-1"),
        ("bytes= , 0-1 ,", b"01", "0-1"),
        ("bytes=0-" + "9" * 3000, BODY, "0-9"),
    ],
)
async def test_one_range_gets_its_part(api: Api, asked: str, part: bytes, where: str) -> None:
    etag = (await api.put("/v1/kv/a", BODY, headers={"Content-Type": "text/plain"})).etag

    answer = await api.get("/v1/kv/a", headers={"Range": asked})

    assert (answer.status, answer.body, answer.etag) == (206, part, etag)
    assert answer.headers["Content-Range"] == f"bytes {where}/10"
    assert answer.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=0-1, 3-4", "lines=0-1", "bytes=5-2", "bytes=", "bytes=a-b", "0-1", ""),
        *("bytes=1-2-3", "bytes=--1", "bytes=+1-2", "bytes = 0-1", "bytes=0-" + "9" * 5000),
    ],
)
async def test_a_range_that_is_none_and_several_are_ignored(api: Api, asked: str) -> None:
    await api.put("/v1/kv/a", BODY)

    answer = await api.get("/v1/kv/a", headers={"Range": asked})

    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize(
    "asked", ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=" + "9" * 99 + "-"]
)
async def test_a_range_after_the_end_is_refused(api: Api, asked: str) -> None:
    await api.put("/v1/kv/a", BODY)

    answer = await api.get("/v1/kv/a", headers={"Range": asked})

    problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */10"


async def test_an_empty_entry_has_no_first_byte(api: Api) -> None:
    await api.put("/v1/kv/a", b"")

    problem(await api.get("/v1/kv/a", headers={"Range": "bytes=0-"}), 416, "range_not_satisfiable")
    assert (await api.get("/v1/kv/a", headers={"Range": "bytes=-5"})).status == 200


async def test_only_get_has_ranges(api: Api) -> None:
    await api.put("/v1/kv/a", BODY)

    answer = await api.head("/v1/kv/a", headers={"Range": "bytes=99-"})

    assert (answer.status, answer.headers["Content-Length"]) == (200, "10")


async def test_conditions_come_before_the_range(api: Api) -> None:
    etag = (await api.put("/v1/kv/a", BODY)).etag
    headers = {"Range": "bytes=99-"}

    same = await api.get("/v1/kv/a", headers={**headers, "If-None-Match": etag})
    stale = await api.get("/v1/kv/a", headers={**headers, "If-Match": '"x"'})

    assert same.status == 304
    problem(stale, 412, "precondition_failed")


@pytest.mark.parametrize(
    ("form", "status"), [("{}", 206), ('"x"', 200), ("W/{}", 200), ("{}, {}", 200), ("", 200)]
)
async def test_if_range_compares_one_etag_strongly(api: Api, form: str, status: int) -> None:
    etag = (await api.put("/v1/kv/a", BODY)).etag

    headers = {"Range": "bytes=0-1", "If-Range": form.replace("{}", etag)}
    answer = await api.get("/v1/kv/a", headers=headers)

    assert answer.status == status


async def test_if_range_compares_a_date_exactly(api: Api, backend: Backend) -> None:
    await api.put("/v1/kv/a", BODY)
    age(backend, "a", seconds=100)
    modified = (await api.get("/v1/kv/a")).headers["Last-Modified"]

    for date, status in (
        (modified, 206),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 200),
        (modified.replace("GMT", "+0000"), 200),
    ):
        headers = {"Range": "bytes=0-1", "If-Range": date}
        assert (await api.get("/v1/kv/a", headers=headers)).status == status, date
