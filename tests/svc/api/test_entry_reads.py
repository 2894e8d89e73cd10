"""GET and HEAD of an entry: the body, every header, and 304."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Answer, Api, age, entry, problem

READS = ["GET", "HEAD"]


async def written(api: Api, path: str = "page?ttl=60") -> Answer:
    headers = {"Content-Type": "text/html; charset=utf-8"}
    return await api.put(f"/v1/kv/{path}", b"<script>alert(1)</script>", headers=headers)


@pytest.mark.parametrize("method", READS)
async def test_an_entry_comes_with_all_that_is_known_of_it(api: Api, method: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    etag = (await written(api)).etag

    answer = await api.send(method, "/v1/kv/page")

    assert answer.status == 200
    assert answer.etag == etag
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Length"] == "25"
    assert 30 <= int(answer.headers["KV-TTL"]) <= 60
    assert answer.headers["Cache-Control"] == "no-cache"
    assert before <= parsedate_to_datetime(answer.headers["Last-Modified"]) <= datetime.now(UTC)
    assert answer.body == (b"<script>alert(1)</script>" if method == "GET" else b"")


@pytest.mark.parametrize("method", READS)
async def test_stored_html_is_inert(api: Api, method: str) -> None:
    await written(api)

    headers = (await api.send(method, "/v1/kv/page")).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    directives = {part.strip() for part in headers["Content-Security-Policy"].split(";")}
    assert {"sandbox", "default-src 'none'"} <= directives


async def test_an_etag_is_strong_and_quoted(api: Api) -> None:
    etag = (await written(api)).etag

    assert etag.startswith('"')
    assert etag.endswith('"')


@pytest.mark.parametrize("method", READS)
async def test_an_entry_that_never_expires_has_no_ttl_header(api: Api, method: str) -> None:
    await written(api, "page?ttl=none")

    assert "KV-TTL" not in (await api.send(method, "/v1/kv/page")).headers


async def test_a_missing_entry_is_a_problem(api: Api) -> None:
    said = problem(await api.get("/v1/kv/nothing"), 404, "key_missing")

    assert said["applied"] == "no"
    assert said["retryable"] is False


async def test_head_of_a_missing_entry_has_the_status_and_no_body(api: Api) -> None:
    answer = await api.head("/v1/kv/nothing")

    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize("form", ["{}", '"x", {}', '{}, "x"', '"x",{} ,W/"y"', "W/{}", "*"])
async def test_a_matching_if_none_match_gets_304(api: Api, method: str, form: str) -> None:
    etag = (await written(api)).etag

    answer = await api.send(
        method, "/v1/kv/page", headers={"If-None-Match": form.replace("{}", etag)}
    )

    assert (answer.status, answer.body) == (304, b"")
    assert answer.etag == etag
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers.keys() >= {"Last-Modified", "KV-TTL"}


@pytest.mark.parametrize("form", ['"x"', 'W/"x", "y"', '""'])
async def test_another_if_none_match_gets_the_bytes(api: Api, form: str) -> None:
    await written(api)

    answer = await api.get("/v1/kv/page", headers={"If-None-Match": form})

    assert answer.status == 200


async def test_if_none_match_sent_on_two_lines_is_one_list(api: Api) -> None:
    etag = (await written(api)).etag

    answer = await api.get(
        "/v1/kv/page", headers=[("If-None-Match", '"x"'), ("If-None-Match", etag)]
    )

    assert answer.status == 304


async def test_an_old_etag_gets_the_new_bytes(api: Api) -> None:
    old = (await written(api)).etag
    await written(api)

    answer = await api.get("/v1/kv/page", headers={"If-None-Match": old})

    assert answer.status == 200


async def test_a_missing_entry_is_missing_whatever_the_condition(api: Api) -> None:
    answer = await api.get("/v1/kv/nothing", headers={"If-None-Match": "*"})

    problem(answer, 404, "key_missing")


@pytest.mark.parametrize("method", READS)
async def test_if_modified_since_gets_304_if_the_entry_is_not_newer(
    api: Api, backend: Backend, method: str
) -> None:
    await written(api)
    age(backend, "page", seconds=100)
    modified = (await api.head("/v1/kv/page")).headers["Last-Modified"]
    earlier = format_datetime(parsedate_to_datetime(modified) - timedelta(seconds=1), usegmt=True)

    same = await api.send(method, "/v1/kv/page", headers={"If-Modified-Since": modified})
    older = await api.send(method, "/v1/kv/page", headers={"If-Modified-Since": earlier})

    assert (same.status, same.body) == (304, b"")
    assert older.status == 200


async def test_a_second_write_in_one_second_is_not_hidden_by_the_date_of_the_first(
    api: Api,
) -> None:
    for _ in range(3):
        await written(api)
        seen = await api.get("/v1/kv/page")
        await written(api)

        for date in (seen.headers["Last-Modified"], seen.headers["Date"]):
            answer = await api.get("/v1/kv/page", headers={"If-Modified-Since": date})
            assert answer.status == 200


async def test_last_modified_is_never_later_than_date(api: Api, backend: Backend) -> None:
    await written(api)

    for seconds in (0, 1, -3600):  # Redis' clock may be ahead
        age(backend, "page", seconds=seconds)
        answer = await api.get("/v1/kv/page")
        modified, date = (
            parsedate_to_datetime(answer.headers[name]) for name in ("Last-Modified", "Date")
        )
        assert modified <= date


@pytest.mark.parametrize("path", ["/v1/kv/page", "/page"])
@pytest.mark.parametrize("method", READS)
async def test_if_unmodified_since_refuses_a_read_of_what_was_written_since(
    api: Api, backend: Backend, method: str, path: str
) -> None:
    await api.put("/v1/kv/page", b"{}")
    age(backend, "page", seconds=100)
    modified = (await api.head("/v1/kv/page")).headers["Last-Modified"]
    earlier = format_datetime(parsedate_to_datetime(modified) - timedelta(seconds=1), usegmt=True)

    for date, status in ((modified, 200), (earlier, 412), (f"{earlier[:-3]}+0000", 200)):
        answer = await api.send(method, path, headers={"If-Unmodified-Since": date})
        assert answer.status == status, date

    both = {"If-Unmodified-Since": earlier, "If-Match": "*"}
    assert (await api.send(method, path, headers=both)).status == 200


async def test_if_none_match_decides_where_both_are_sent(api: Api) -> None:
    await written(api)
    modified = (await api.head("/v1/kv/page")).headers["Last-Modified"]

    answer = await api.get(
        "/v1/kv/page", headers={"If-None-Match": '"x"', "If-Modified-Since": modified}
    )

    assert answer.status == 200


@pytest.mark.parametrize(
    "date",
    [
        *("yesterday", "", "Fri, 99 Foo 2026 00:00:00 GMT", "0"),
        *("Fri, 31 Dec 9999 23:59:59", "Fri, 31 Dec 9999 23:59:59 +0000"),
        "Fri, 31 Dec 9999 23:59:59 GMT, Fri, 31 Dec 9999 23:59:59 GMT",
    ],
)
async def test_a_date_that_cannot_be_read_is_ignored(api: Api, date: str) -> None:
    await written(api)

    answer = await api.get("/v1/kv/page", headers={"If-Modified-Since": date})

    assert answer.status == 200


@pytest.mark.parametrize("method", READS)
async def test_a_read_under_a_stale_if_match_is_refused(api: Api, method: str) -> None:
    """RFC 9110 §13.1.1: a false If-Match fails any method; clients use it to combine ranges."""
    await written(api)

    answer = await api.send(method, "/v1/kv/page", headers={"If-Match": '"stale"'})

    assert answer.status == 412


async def test_a_read_under_the_current_if_match_is_answered(api: Api) -> None:
    etag = (await written(api)).etag

    answer = await api.get("/v1/kv/page", headers={"If-Match": f'"x", {etag}'})

    assert answer.status == 200


@pytest.mark.parametrize(
    "stored", [b"\x02" + b"\0" * 60, b"\x00" * 60, b"\x01short", b"", b"no entry at all"]
)
async def test_what_no_release_of_ours_wrote_is_a_problem_and_in_no_listing(
    api: Api, backend: Backend, stored: bytes
) -> None:
    await api.put("/v1/kv/odd", b"x")
    await api.put("/v1/kv/other", b"x")
    for client in backend.clients:
        if client.keys(entry("odd")):
            client.set(entry("odd"), stored)

    said = problem(await api.get("/v1/kv/odd"), 500, "store_corrupt")

    assert said["applied"] == "no"
    assert await api.keys() == ["other"]
