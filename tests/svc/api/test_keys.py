"""Keys in URLs: decoded exactly once, compared byte by byte, and strictly validated."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest

from tests.svc.api.client import Api, problem

NFC = unicodedata.normalize("NFC", "é")
NFD = unicodedata.normalize("NFD", "é")


async def test_a_slash_may_be_written_plain_or_encoded(api: Api) -> None:
    await api.put("/v1/kv/a/b", b"one")

    for path in ("a/b", "a%2Fb", "a%2fb"):
        assert (await api.get(f"/v1/kv/{path}")).body == b"one"
    assert await api.keys() == ["a/b"]


async def test_a_key_is_decoded_exactly_once(api: Api) -> None:
    await api.put("/v1/kv/a%252Fb", b"two")

    assert await api.keys() == ["a%2Fb"]
    problem(await api.get("/v1/kv/a%2Fb"), 404, "key_missing")
    assert (await api.get("/v1/kv/a%252Fb")).body == b"two"


async def test_an_encoded_percent_sign_is_not_taken_for_an_escape(api: Api) -> None:
    await api.put("/v1/kv/%25FF", b"percent")

    assert await api.keys() == ["%FF"]
    assert (await api.get("/v1/kv/%25FF")).body == b"percent"
    problem(await api.get("/v1/kv/%FF"), 400, "key_invalid")


@pytest.mark.parametrize(
    "path",
    [
        *("%FF", "a%C3", "%ED%A0%80", "%C0%AF", "%F5%80%80%80"),  # not valid UTF-8
        *("%zz", "a%", "a%2", "%2", "%%41", "%u0041"),  # invalid escapes
        *("a//b", "/a", "a/", "a%2F%2Fb", "a%2F", "%2Fa", "%2F"),  # empty segments
        *(".", "..", "a/./b", "a/../b", "%2E", "a/%2e%2E/b", "a%2F..%2Fb", "a/.."),
        *("%00", "a%00b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_key_that_can_name_nothing_is_refused(api: Api, method: str, path: str) -> None:
    answer = await api.send(method, f"/v1/kv/{path}", b"x" if method == "PUT" else None)

    said = problem(answer, 400, "key_invalid")
    assert said["detail"].startswith("key: ")
    assert said["applied"] == "no"
    assert await api.keys() == []


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "POST"])
async def test_every_method_refuses_a_key_that_is_not_utf8(api: Api, method: str) -> None:
    answer = await api.send(method, "/v1/kv/%FF%2F")

    assert answer.status == 400


async def test_the_collection_itself_is_no_key_but_the_listing(api: Api) -> None:
    await api.put("/v1/kv/a", b"x")

    answer = await api.get("/v1/kv/")

    assert [item["key"] for item in answer.json()["items"]] == ["a"]


@pytest.mark.parametrize("key", ["k" * 512, "é" * 256, "/".join("a" * 256) + "b"])
async def test_a_key_of_512_bytes_is_kept(api: Api, key: str) -> None:
    assert len(key.encode()) == 512

    for path in (quote(key), "".join(f"%{byte:02x}" for byte in key.encode())):
        assert (await api.put(f"/v1/kv/{path}", b"long")).status in {200, 201}

    assert await api.keys() == [key]


@pytest.mark.parametrize("key", ["k" * 513, "é" * 256 + "e", "k/" * 300 + "k"])
async def test_a_key_of_more_than_512_bytes_is_too_long(api: Api, key: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await api.send(method, f"/v1/kv/{quote(key)}")
        problem(answer, 414, "key_too_long")


async def test_keys_are_compared_as_bytes_not_as_letters_or_patterns(api: Api) -> None:
    paths = {
        "caf%C3%A9": "caf" + NFC,
        "cafe%CC%81": "caf" + NFD,
        "%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80": "👩‍🚀",
        "a+b": "a+b",
        "a%20b": "a b",
        "%7Bx%7D": "{x}",
        "{x}": "{x}",
        "a*": "a*",
        "%5Ba-z%5D": "[a-z]",
        "%3Fq=1": "?q=1",
        "%23top": "#top",
        "line%0Abreak": "line\nbreak",
        "line%0D%0Abreak": "line\r\nbreak",
        "back%5Cslash": "back\\slash",
        "A": "A",
        "a": "a",
        "...": "...",
        ".hidden": ".hidden",
        "a;b=c,d": "a;b=c,d",
        "quote%22'": "quote\"'",
        "v1": "v1",
        "docs": "docs",
    }

    for path, key in paths.items():
        answer = await api.put(f"/v1/kv/{path}", key.encode())
        assert answer.json()["key"] == key

    assert await api.keys() == sorted(set(paths.values()))
    for path, key in paths.items():
        assert (await api.get(f"/v1/kv/{path}")).body == key.encode()


async def test_a_needless_escape_changes_nothing(api: Api) -> None:
    await api.put("/v1/kv/plain-key", b"x")

    assert (await api.get("/v1/kv/%70l%61in%2Dkey")).body == b"x"


@pytest.mark.parametrize("path", [b"a#b", b"%61#b", b"a%20b#"])
async def test_a_bare_hash_in_a_request_target_is_refused(api: Api, path: bytes) -> None:
    answer = await api.raw(
        b"PUT /v1/kv/%b HTTP/1.1\r\nHost: kv\r\nContent-Length: 1\r\n\r\nx" % path
    )

    assert answer.status == 400
    assert await api.keys() == []


async def test_a_target_in_absolute_form_names_the_same_key(api: Api) -> None:
    await api.put("/v1/kv/a/b", b"x")

    answer = await api.raw(b"GET http://kv.example/v1/kv/a%2Fb?wait=0 HTTP/1.1\r\nHost: kv\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"x")


@pytest.mark.parametrize("path", [b"\xff", b"\xc3\xa9", b"a\x00b", b"a\tb"])
async def test_raw_bytes_outside_of_ascii_are_refused(api: Api, path: bytes) -> None:
    answer = await api.raw(b"GET /v1/kv/%b HTTP/1.1\r\nHost: kv\r\n\r\n" % path)

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_braces_in_keys_have_no_effect_on_the_slot(api: Api) -> None:
    keys = [f"{{same}}{i}" for i in range(20)]
    for key in keys:
        await api.put(f"/v1/kv/{quote(key)}", b"x")

    assert await api.keys("%7Bsame%7D") == sorted(keys)
