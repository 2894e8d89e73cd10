"""Properties of every request, valid or not: it gets a response with its id, and never a 500."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.svc.api.client import PROBLEM_FIELDS, Api

methods = st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"])
roots = st.sampled_from(
    [
        *("/", "/a", "//", "/%2F", "/docs", "/v1", "/v1/kv", "/v1/kv/", "/v1/kv/a", "/v1/kv/a/"),
        *("/v1/counters", "/v1/counters/c", "/v1/counters/c/increments", "/v1/batch"),
    ]
)
pieces = st.lists(
    st.sampled_from(
        [
            *(
                "/",
                "a",
                "%2F",
                "%00",
                "%FF",
                "%25",
                "%zz",
                "%",
                ".",
                "..",
                "*",
                "{",
                "}",
                "[",
                "\\",
            ),
            *("+", "~", "%C3%A9", "%F0%9F%91%A9", "k" * 200, "#", ";", "'", '"', "<", "|", ":"),
        ]
    ),
    max_size=4,
).map("".join)
queries = st.lists(
    st.sampled_from(
        [
            *("ttl=", "limit=", "cursor=", "prefix=", "x", "&", "=", "1", "-1", "0", "9" * 12),
            *("none", "keep", "null", "%FF", "%zz", "+", "%00", "kKAAoMQAkA", "k" * 600, "?"),
        ]
    ),
    max_size=5,
).map("".join)
tags = st.sampled_from(["*", '"a"', 'W/"a"', "a", '"', "", ",", '"a", "b"', '"' + "0" * 32 + '"'])
types = ["application/json", "application/merge-patch+json", "text/plain", "", "x/é", "+json"]
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(types),
        "If-Match": tags,
        "If-None-Match": tags,
        "If-Modified-Since": st.sampled_from(["0", "Thu, 01 Jan 1970 00:00:00 GMT", "é"]),
        "If-Unmodified-Since": st.just("Thu, 01 Jan 1970 00:00:00 GMT"),
        "Idempotency-Key": st.sampled_from(["k", '"k"', '"', "", "é", "k" * 256]),
        "Prefer": st.sampled_from(["return=minimal", ",", "é"]),
        "Accept": st.sampled_from(["application/json", "*/*", "é"]),
        "Accept-Encoding": st.sampled_from(["gzip", "br;q=1"]),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "identity", "br", "é"]),
        "Expect": st.sampled_from(["miracles", ""]),
        "Range": st.just("bytes=0-0"),
        "traceparent": st.sampled_from(["x", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"]),
        "X-Request-Id": st.sampled_from(["id", "", "é", "k" * 200]),
    },
)
words = [
    *("{", "}", "[", "]", ":", ",", "1", "-1", "1e999", "null", "true", "9.5"),
    *('"by"', '"operations"', '"op"', '"get"', '"key"', '"a"', '"value"', '"counter"'),
    *("\udcff", '"\\ud800"', "9" * 30),
]
bodies = st.one_of(
    st.sampled_from([b"", b"{}", b"[]", b'{"by":1}', b'{"value":1}', b'{"operations":[{}]}']),
    st.lists(st.sampled_from(words), max_size=12).map(
        lambda found: "".join(found).encode(errors="surrogateescape")
    ),
    st.binary(max_size=20),
)


@given(methods, roots, pieces, queries, headers, bodies)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_request_gets_its_id_and_never_an_internal_error(
    api: Api,
    method: str,
    root: str,
    more: str,
    query: str,
    header: dict[str, str],
    body: bytes,
) -> None:
    target = f"{root}{more}?{query}" if query else root + more
    lines = [f"{method} {target} HTTP/1.1", "Host: kv", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {text}" for name, text in header.items()]

    answer = await api.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    assert answer.status < 500, answer
    assert answer.headers["KV-Pod"] == "pod-1"
    assert answer.headers["Server"] == "tallykv"
    assert answer.headers["X-Request-Id"]
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json().keys() >= PROBLEM_FIELDS
