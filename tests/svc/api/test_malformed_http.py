"""Malformed HTTP: the response is a complete problem, or the connection is closed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.svc.api.client import PROBLEM_FIELDS, Answer, Api

HOST = b"Host: kv\r\n"
MALFORMED = {
    "no request line": b"garbage\r\n\r\n",
    "no host": b"GET /v1/limits HTTP/1.1\r\n\r\n",
    "a method in lower case": b"get /v1/limits HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without slash": b"GET limits HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /v1/li mits HTTP/1.1\r\n" + HOST + b"\r\n",
    "a header without colon": b"GET / HTTP/1.1\r\n" + HOST + b"Nonsense\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"Name : x\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"Name: a\0b\r\n\r\n",
    "a negative length": b"PUT /v1/kv/a HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    "no number as length": b"PUT /v1/kv/a HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n",
    "two lengths": b"PUT /v1/kv/a HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "length and chunks": b"PUT /v1/kv/a HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


def refused(answer: Answer, status: int) -> dict[str, Any]:
    """Assert that the response is a problem with this status, and names the pod."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["KV-Pod"] == "pod-1"
    assert "aiohttp" not in answer.headers["Server"]
    assert b"Traceback" not in answer.body
    said: dict[str, Any] = answer.json()
    assert (said["status"], said["applied"], said["retryable"]) == (status, "no", False)
    return said


@pytest.mark.parametrize("case", MALFORMED)
async def test_what_is_no_http_is_a_problem(api: Api, case: str) -> None:
    answer = await api.raw(MALFORMED[case])

    said = refused(answer, 400)
    assert re.fullmatch("[a-z]+(_[a-z]+)*", said["code"])
    assert await api.keys() == []


async def test_its_problem_is_as_complete_as_any_other(api: Api) -> None:
    answer = await api.raw(MALFORMED["no host"])

    assert answer.json().keys() >= PROBLEM_FIELDS
    assert re.fullmatch("[0-9a-f]{32}", answer.json()["trace_id"])
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-1\r\n", b"5\r\nab\r\n0\r\n\r\n"])
async def test_broken_chunks_are_a_problem_and_nothing_is_kept(api: Api, chunk: bytes) -> None:
    answer = await api.raw(
        b"PUT /v1/kv/a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk
    )

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await api.keys() == []


async def test_another_version_is_505(api: Api) -> None:
    answer = await api.raw(b"GET /v1/limits HTTP/9.9\r\n" + HOST + b"\r\n")

    assert refused(answer, 505)["code"] == "http_version_unsupported"


async def test_a_request_line_too_long_is_414(api: Api) -> None:
    answer = await api.raw(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")

    refused(answer, 414)


async def test_a_query_too_long_is_414(api: Api) -> None:
    answer = await api.raw(
        b"GET /v1/kv?prefix=" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    )

    refused(answer, 414)


async def test_a_header_too_long_is_431(api: Api) -> None:
    answer = await api.raw(
        b"GET /v1/limits HTTP/1.1\r\n" + HOST + b"Cookie: " + b"a" * 20_000 + b"\r\n\r\n"
    )

    refused(answer, 431)


async def test_too_many_headers_are_refused(api: Api) -> None:
    many = b"".join(b"X-%d: x\r\n" % i for i in range(2000))

    answer = await api.raw(b"GET /v1/limits HTTP/1.1\r\n" + HOST + many + b"\r\n")

    assert answer.status in {400, 431}
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", [b"/v1/limits", b"/v1/kv/a", b"/", b"/v1/nothing"])
async def test_an_unknown_expectation_is_a_problem_too(api: Api, path: bytes) -> None:
    answer = await api.raw(
        b"GET %b HTTP/1.1\r\n" % path + HOST + b"X-Request-Id: mine\r\nExpect: miracles\r\n\r\n"
    )

    # For a path without a route, 404 is correct too.
    refused(answer, 404 if path == b"/v1/nothing" and answer.status == 404 else 417)
    assert answer.json().keys() >= PROBLEM_FIELDS
    assert answer.headers["X-Request-Id"] == "mine"


async def test_a_client_that_asks_first_is_told_to_continue(api: Api) -> None:
    answer = await api.put("/v1/kv/a", b"hello", expect100=True)

    assert answer.status == 201
    assert (await api.get("/v1/kv/a")).body == b"hello"


async def test_http_1_0_is_served(api: Api) -> None:
    answer = await api.raw(b"GET /v1/limits HTTP/1.0\r\n\r\n")

    assert answer.status == 200


async def test_a_query_of_raw_bytes_is_refused(api: Api) -> None:
    answer = await api.raw(b"GET /v1/kv?prefix=\xff HTTP/1.1\r\n" + HOST + b"\r\n")

    assert answer.status == 400
