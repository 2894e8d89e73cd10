"""The table of routes, scopes and prefixes: nothing of another prefix is done, shown or told."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest

from bench.security.cells import (
    FOREIGN_COUNTERS,
    FOREIGN_KEYS,
    FOREIGN_PREFIXES,
    OWN_COUNTERS,
    OWN_KEYS,
    OWN_PREFIXES,
    SCOPES_OF,
    TOKENS,
    Request,
    batch_of,
    deletion,
    operations,
    requests_on_counter,
    requests_on_key,
)
from svc.domain.model import Draft, Key
from svc.settings import Settings
from tests.conftest import Backend
from tests.support.redis_servers import RedisServer
from tests.support.services import Service, running_service
from tests.support.tokens import bearer, write_tokens

#: Headers that differ from answer to answer anyway.
NOT_COMPARED: Final = {"date", "x-request-id"}
ENTRIES, ADMIN, OWNER = "entries", "admin", "owner"
Said = tuple[int, dict[str, str], Any]


@contextlib.asynccontextmanager
async def serving(url: str, folder: Path) -> AsyncIterator[Service]:
    tokens = write_tokens(folder / "tokens", TOKENS | {"all": "read,write,delete,admin"})
    async with running_service(Settings(store_url=url, tokens_file=tokens)) as running:
        yield running


@pytest.fixture
async def service(shared_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Service]:
    with shared_redis.client() as client:
        client.flushall()
    async with serving(shared_redis.url, tmp_path) as running:
        yield running


@pytest.fixture
async def on_each_store(backend: Backend, tmp_path: Path) -> AsyncIterator[Service]:
    """Lists are narrowed down in Redis, so they are tried on each store."""
    backend.flush()
    async with serving(backend.url, tmp_path) as running:
        yield running


async def say(
    service: Service, request: Request, token: str, headers: Mapping[str, str] = {}
) -> Said:
    """Send as the token's holder. Return what the holder can learn from the answer."""
    sent = {**bearer(token), "Content-Type": request.content_type, **headers}
    async with service.request(
        request.method, request.path, data=request.body, headers=sent
    ) as answer:
        raw = await answer.read()
    body: Any = raw
    if raw.startswith(b"{"):
        body = json.loads(raw)
        body.pop("trace_id", None)
    kept = {name: text for name, text in answer.headers.items() if name.lower() not in NOT_COMPARED}
    return answer.status, kept, body


async def fill(service: Service) -> dict[str, Any]:
    """Store every foreign entry and counter. Return what is stored, by name."""
    for key in FOREIGN_KEYS:
        name = Key(unquote(key))
        draft = Draft(b'{"secret":1}', "application/json", None, is_json=True)
        await service.store.write(name, draft)
    for counter in FOREIGN_COUNTERS:
        async with service.put(
            f"/v1/counters/{counter}", data=b'{"value":41}', headers=bearer("all")
        ) as answer:
            assert answer.status == 200
    return await stored(service)


async def stored(service: Service) -> dict[str, Any]:
    """Return every entry's ETag and every counter's value, but of the own prefixes."""
    found: dict[str, Any] = {}
    for kind, name in (("kv", "key"), ("counters", "name")):
        async with service.get(f"/v1/{kind}?limit=1000", headers=bearer("all")) as answer:
            page = await answer.json()
        assert page["next_cursor"] is None
        for item in page["items"]:
            if not item[name].startswith(("team-a/", "team-a:")):
                found[f"{kind} {item[name]}"] = item.get("etag", item.get("value"))
    return found


def all_requests(keys: tuple[str, ...], counters: tuple[str, ...]) -> list[Request]:
    return [
        *(each for key in keys for each in requests_on_key(key)),
        *(each for name in counters for each in requests_on_counter(name)),
    ]


async def test_own_names_need_the_scope(service: Service) -> None:
    for token in TOKENS:
        for request in all_requests(OWN_KEYS, OWN_COUNTERS):
            is_counter = "counters" in request.path
            allowed = request.scope in SCOPES_OF[token] and not (token == ENTRIES and is_counter)

            status, headers, body = await say(service, request, token)

            if allowed:
                assert status in request.good, (token, request)
            else:
                assert status == 403, (token, request)
                assert request.method == "HEAD" or body["code"] == "forbidden"
                assert headers["WWW-Authenticate"] == (
                    'Bearer realm="tallykv", error="insufficient_scope"'
                )


async def test_foreign_names_look_the_same_whether_they_exist_or_not(service: Service) -> None:
    requests = all_requests(FOREIGN_KEYS, FOREIGN_COUNTERS)
    conditions: list[dict[str, str]] = [
        {},
        {"If-Match": "*"},
        {"If-None-Match": "*"},
        {"Idempotency-Key": '"k"'},
    ]
    tokens = [token for token in TOKENS if token != ADMIN]

    async def told() -> dict[tuple[Any, ...], Said]:
        return {
            (token, request, number): await say(service, request, token, condition)
            for token in tokens
            for request in requests
            for number, condition in enumerate(conditions)
            if token == OWNER or (number == 0 and request.path.count("team-b"))
        }

    absent = await told()
    before = await fill(service)
    present = await told()

    assert len(before) == len({*map(unquote, FOREIGN_KEYS)}) + len(FOREIGN_COUNTERS)
    assert {said[0] for said in present.values()} == {403}
    different = [(absent[each], said) for each, said in present.items() if absent[each] != said]
    assert different[:1] == [], "".join(f"{a}\n{b}\n" for a, b in different[:1])
    assert await stored(service) == before


async def test_each_operation_of_a_batch_is_judged_by_itself(service: Service) -> None:
    before = await fill(service)
    decoded = tuple(map(unquote, FOREIGN_KEYS))
    own = tuple(map(unquote, OWN_KEYS))
    for token in TOKENS:
        for headers in ({}, {"Idempotency-Key": '"b"'}):
            mine, theirs = operations(own, OWN_COUNTERS), operations(decoded, FOREIGN_COUNTERS)
            if token == ENTRIES:
                mine, theirs = operations(own, ()), operations(decoded, OWN_COUNTERS)
            some = [each for pair in zip(mine, theirs, strict=False) for each in pair]
            request = Request("batch", "POST", "/v1/batch", "", frozenset({200}), batch_of(some))

            status, _, body = await say(service, request, token, headers)

            assert status == 200
            for (scope, operation), result in zip(some, body["results"], strict=True):
                allowed = (scope, operation) in mine and scope in SCOPES_OF[token]
                assert (result["status"] == 403) is not allowed, (token, operation, result)
    assert await stored(service) == before


async def test_a_batch_of_reads_shows_what_is_covered_only(service: Service) -> None:
    await fill(service)
    some = [("read", {"op": "get", "key": unquote(key)}) for key in (*FOREIGN_KEYS, "team-a/x")]
    request = Request("batch", "POST", "/v1/batch", "read", frozenset({200}), batch_of(some))

    _, _, body = await say(service, request, "owner")

    assert [each["status"] for each in body["results"]] == [403] * len(FOREIGN_KEYS) + [404]
    assert b"secret" not in json.dumps(body).encode()


LISTS: Final = [
    "?limit=1000",
    "?prefix=team-",
    "?prefix=team-a",
    "?prefix=team-b/",
    "?prefix=team-a/deep/&limit=1",
    "?limit=1",
]


async def pages(service: Service, path: str, token: str) -> list[Said]:
    """Return every page of a listing, as its reader sees it, without run ids in cursors."""
    seen: list[Said] = []
    cursor = ""
    while True:
        status, headers, body = await say(
            service, Request("list", "GET", path + cursor, "read", frozenset({200})), token
        )
        seen.append((status, headers, body))
        if status != 200 or body["next_cursor"] is None:
            return seen
        cursor = f"&cursor={body['next_cursor']}"


def names(listings: list[list[Said]]) -> list[list[Any]]:
    """Return the statuses of each listing's pages, and the names on all of them in order."""
    return [
        [
            {status for status, _, _ in listing},
            *sorted(
                item.get("key", item.get("name"))
                for status, _, body in listing
                if status == 200
                for item in body["items"]
            ),
        ]
        for listing in listings
    ]


async def test_lists_hold_what_may_be_read_and_tell_nothing_of_the_rest(
    on_each_store: Service,
) -> None:
    service = on_each_store
    for key in OWN_KEYS[:2]:
        await say(service, next(r for r in requests_on_key(key) if r.route == "write"), "owner")
    bump = next(r for r in requests_on_counter("team-a:x") if r.route == "increment")
    await say(service, bump, "owner")

    async def told() -> list[list[Said]]:
        return [
            await pages(service, path + query, token)
            for token in ("reader", "owner", "entries", "writer", "admin")
            for path in ("/v1/kv", "/v1/kv/", "/v1/counters", "/v1/counters/")
            for query in LISTS
        ]

    alone = await told()
    await fill(service)
    among_others = await told()

    assert names(among_others) == names(alone)
    shown = {name for each in names(alone) for name in each[1:]}
    assert shown == {"team-a/x", "team-a/y", "team-a:x"}


async def test_a_deletion_by_prefix_takes_what_may_be_deleted_and_nothing_else(
    on_each_store: Service,
) -> None:
    service = on_each_store
    foreign = await fill(service)
    for kind, prefixes in OWN_PREFIXES.items():
        own = OWN_KEYS[0] if kind == "kv" else OWN_COUNTERS[0]
        requests = requests_on_key(own) if kind == "kv" else requests_on_counter(own)
        by_route = {request.route: request for request in requests}
        write = by_route["write" if kind == "kv" else "set counter"]
        read = by_route["read" if kind == "kv" else "read counter"]
        for token, scopes in SCOPES_OF.items():
            allowed = "delete" in scopes and not (token == ENTRIES and kind == "counters")
            for prefix in prefixes:
                await say(service, write, "all")
                status, _, said = await say(service, deletion(kind, prefix), token)

                assert status == (200 if allowed else 403), (token, prefix)
                assert said.get("deleted") == (1 if allowed else None)
                assert (await say(service, read, "all"))[0] == (404 if allowed else 200)
            for prefix in FOREIGN_PREFIXES:
                assert (await say(service, deletion(kind, prefix), token))[0] == 403

    assert await stored(service) == foreign


async def test_several_prefixes_are_listed_together(service: Service, tmp_path: Path) -> None:
    write_tokens(tmp_path / "two", {"two": "read,write keys=team-a/,team-b/,x/"})
    await fill(service)
    settings = Settings(store_url=service.settings.store_url, tokens_file=tmp_path / "two")
    async with running_service(settings) as other:
        (said, *more) = await pages(other, "/v1/kv?prefix=team", "two")

    keys = [item["key"] for page in (said, *more) for item in page[2]["items"]]
    assert sorted(keys) == ["team-b/team-a/x", "team-b/x"]
    assert len(keys) == len(set(keys))


async def test_nobody_replays_the_request_of_another(service: Service) -> None:
    key = {"Idempotency-Key": '"shared"'}
    post = Request("create", "POST", "/v1/kv/team-a/", "write", frozenset({201}), b'"mine"')
    bump = next(r for r in requests_on_counter("team-a:x") if r.route == "increment")

    first = [await say(service, each, "owner", key) for each in (post, bump)]
    again = [await say(service, each, "owner", key) for each in (post, bump)]
    other = [await say(service, each, "writer", key) for each in (post, bump)]

    assert [said[1].get("Idempotency-Replayed") for said in again] == ["true", "true"]
    assert [said[1].get("Idempotency-Replayed") for said in other] == [None, None]
    assert again[0][1]["Location"] == first[0][1]["Location"] != other[0][1]["Location"]
    assert (again[1][2]["value"], other[1][2]["value"]) == (1, 2)


async def test_a_foreign_collection_takes_no_member_and_no_record(service: Service) -> None:
    for token in TOKENS:
        for path in ("/v1/kv/team-b/", "/v1/kv/team-a%2F..%2Fteam-b/", "/v1/kv/Team-a/"):
            for headers in ({}, {"Idempotency-Key": '"k"'}):
                post = Request("create", "POST", path, "write", frozenset(), b"{}")

                status, _, _ = await say(service, post, token, headers)

                assert status in ({400} if ".." in path else {403}), (token, path)
    assert await stored(service) == {}


async def test_a_read_only_token_leaves_no_record_of_its_batch(service: Service) -> None:
    some = [("read", {"op": "get", "key": "team-a/x"})]
    request = Request("batch", "POST", "/v1/batch", "read", frozenset({200}), batch_of(some))

    said = [await say(service, request, "reader", {"Idempotency-Key": '"k"'}) for _ in range(2)]

    assert [(each[0], "Idempotency-Replayed" in each[1]) for each in said] == [(200, False)] * 2


async def test_the_visit_counter_is_a_counter_like_others(service: Service, tmp_path: Path) -> None:
    root = Request("hit", "GET", "/", "write", frozenset({200}))

    assert (await say(service, root, "owner"))[0] == 403
    assert (await say(service, root, "all"))[0] == 200
    # HEAD counts nothing, and shows nothing.
    assert (await say(service, Request("", "HEAD", "/", "", frozenset()), "owner"))[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/kv/team-a/../team-b/x",
        "/v1/kv/team-a/%2e%2e/team-b/x",
        "/v1/kv//team-a/x",
        "/v1/kv/team-a//x",
        "/team-a/%2E%2E/team-b/x",
    ],
)
async def test_a_path_that_others_would_resolve_is_no_key(service: Service, path: str) -> None:
    status, _, body = await say(service, Request("", "GET", path, "read", frozenset()), "owner")

    assert (status, body["code"]) == (400, "key_invalid")
