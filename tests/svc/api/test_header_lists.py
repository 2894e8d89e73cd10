"""Headers that are lists: every line counts, and empty elements do not."""

from __future__ import annotations

import gzip

import pytest

from tests.svc.api.client import Answer, Api, problem

PACKED = gzip.compress(b"hello", mtime=0)


async def put(api: Api, headers: str, body: bytes, path: str = "/v1/kv/a") -> Answer:
    """PUT with these header lines, chunked if they say so."""
    if "chunked" in headers.lower():
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        headers += f"Content-Length: {len(body)}\r\n"
    return await api.raw(f"PUT {path} HTTP/1.1\r\nHost: kv\r\n{headers}\r\n".encode() + body)


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ("Content-Encoding: gzip\r\n", PACKED),
        ("Content-Encoding: , gzip ,\r\n", PACKED),
        ("Content-Encoding: identity\r\nContent-Encoding: GZip\r\n", PACKED),
        ("Content-Encoding: identity, ,\r\n", b"hello"),
        ("Content-Encoding: \r\n", b"hello"),
        ("Transfer-Encoding: chunked\r\n", b"hello"),
        ("Transfer-Encoding: Chunked\r\n", b"hello"),
        ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n", PACKED),
    ],
)
async def test_a_body_is_stored_without_its_coding(api: Api, lines: str, body: bytes) -> None:
    answer = await put(api, lines, body)

    assert answer.status == 201, answer
    assert (await api.get("/v1/kv/a")).body == b"hello"


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: br\r\n",
        "Content-Encoding: gzip, deflate\r\n",
    ],
)
async def test_a_second_coding_is_refused(api: Api, lines: str) -> None:
    answer = await put(api, lines, PACKED)

    problem(answer, 415, "content_coding_unsupported")
    assert await api.keys() == []


@pytest.mark.parametrize(
    "lines",
    [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: deflate, , chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
    ],
)
async def test_a_transfer_coding_other_than_chunked_is_refused(api: Api, lines: str) -> None:
    answer = await put(api, lines, PACKED)

    assert answer.status == 400, answer
    assert await api.keys() == []


@pytest.mark.parametrize("path", ["/v1/kv/a", "/a"])
async def test_a_part_does_not_replace_the_whole(api: Api, path: str) -> None:
    """``curl -T file -C 3`` sends the rest of the file with a Content-Range."""
    await api.put(path, b'{"n":1}')

    answer = await put(api, "Content-Range: bytes 3-6/7\r\n", b'{"n":2}', path)

    assert "Content-Range" in problem(answer, 400, "header_invalid")["detail"]
    assert (await api.get("/v1/kv/a")).body == b'{"n":1}'


@pytest.mark.parametrize(
    "lines",
    [
        "Prefer: return=minimal\r\n",
        'Prefer: return="minimal"\r\n',
        'Prefer: RETURN = "mini\\mal" ; a=b; c="d,e"\r\n',
        "Prefer: wait=5\r\nPrefer: , return=minimal ,\r\n",
        'Prefer: x="return=representation, y", return=minimal\r\n',
        "Prefer: return=minimal, return=representation\r\n",
    ],
)
async def test_a_preference_for_minimal_answers_is_found(api: Api, lines: str) -> None:
    created = await put(api, lines, b"1")
    replaced = await put(api, lines, b"2")

    assert (created.status, created.body) == (201, b"")
    assert (replaced.status, replaced.body) == (204, b"")
    for answer in (created, replaced):
        assert answer.headers["Preference-Applied"] == "return=minimal"


@pytest.mark.parametrize(
    "lines",
    [
        "Prefer: return=representation, return=minimal\r\n",
        "Prefer: return=representation\r\nPrefer: return=minimal\r\n",
        'Prefer: x="return=minimal"\r\n',
        'Prefer: x="a, return=minimal, b"\r\n',
        "Prefer: x; return=minimal\r\n",
        "Prefer: return=minimalist\r\n",
        'Prefer: x="never closed, return=minimal\r\n',
    ],
)
async def test_what_is_no_preference_for_minimal_answers_is_not(api: Api, lines: str) -> None:
    answer = await put(api, lines, b"1")

    assert answer.json()["key"] == "a"
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json, text/plain, */*", True),
        ("Application/JSON;q=0.1", True),
        ("text/plain;q=0.5, application/json;q=0.7", True),
        ("text/plain;q=0.7, application/json;q=0.5", False),
        ("application/json;q=0", False),
        ("application/jsonx", False),
        ("*/*", False),
    ],
)
async def test_the_weights_of_accept_choose_the_form_of_the_count(
    api: Api, accept: str, *, is_json: bool
) -> None:
    answer = await api.get("/", headers={"Accept": accept})

    assert answer.headers["Content-Type"].startswith("application/json") is is_json


@pytest.mark.parametrize("path", ["/v1/kv/a", "/a", "/v1/counters/c"])
async def test_a_content_type_that_is_not_utf_8_is_no_internal_error(api: Api, path: str) -> None:
    body = b'{"value":1}'
    head = b"PUT %b HTTP/1.1\r\nHost: kv\r\nIdempotency-Key: k\r\n" % path.encode()
    head += b"Content-Type: x/\xff\r\nContent-Length: %d\r\n\r\n" % len(body)

    answers = [await api.raw(head + body) for _ in range(2)]

    assert answers[0].status == answers[1].status in {200, 201, 400}, answers
    assert answers[1].replayed is (answers[1].status < 300)
