"""Counters, one request at a time: exact to 64 bits, and with a TTL if requested."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Backend
from tests.svc.api.client import Api, counter, left_ms, problem, run_out

LOWEST, HIGHEST = -(2**63), 2**63 - 1
#: An increment is sent as a plain INCRBY or as a script. Both must have the same result.
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bounded": {"min": LOWEST, "max": HIGHEST, "on_bound": "reject"},
    "with a ttl": {"ttl": 60},
    "idempotent": {"headers": {"Idempotency-Key": "once"}},
}


async def value(api: Api, name: str = "c") -> int:
    answer = await api.get(f"/v1/counters/{name}")
    assert answer.status == 200, answer
    said = answer.json()
    assert said["value_text"] == str(said["value"])
    return int(said["value"])


async def test_a_fresh_counter_starts_at_zero_and_steps_by_one(api: Api) -> None:
    answer = await api.post("/v1/counters/visits/increments")

    assert answer.status == 200
    assert answer.json() == {"name": "visits", "value": 1, "value_text": "1", "applied_by": 1}
    assert (await api.step("visits")).json()["value"] == 2
    assert (await api.step("visits", by=-5)).json() == {
        "name": "visits",
        "value": -3,
        "value_text": "-3",
        "applied_by": -5,
    }


async def test_a_counter_is_read_with_its_ttl(api: Api) -> None:
    await api.step("never")
    await api.step("soon", ttl=60)

    never = await api.get("/v1/counters/never")
    soon = await api.get("/v1/counters/soon")

    assert never.json() == {"name": "never", "value": 1, "value_text": "1", "ttl": None}
    assert soon.json() in [
        {"name": "soon", "value": 1, "value_text": "1", "ttl": ttl} for ttl in range(30, 61)
    ]


async def test_a_missing_counter_is_a_problem(api: Api) -> None:
    problem(await api.get("/v1/counters/none"), 404, "counter_missing")
    problem(await api.delete("/v1/counters/none"), 404, "counter_missing")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("start", "by"),
    [
        (2**53 - 1, 1),
        (2**53, 1),
        (2**53 + 1, 2),
        (-(2**53), -1),
        (0, 2**53 + 1),
        (HIGHEST - 1, 1),
        (LOWEST + 1, -1),
        (0, HIGHEST),
        (0, LOWEST),
        (HIGHEST, LOWEST),
        (LOWEST, HIGHEST),
        (1_234_567_890_123_456_789, -9),
    ],
)
async def test_every_sum_is_exact(api: Api, way: str, start: int, by: int) -> None:
    await api.put("/v1/counters/c", json={"value": start})

    answer = await api.step("c", by=by, **WAYS[way])

    assert answer.json() == {
        "name": "c",
        "value": start + by,
        "value_text": str(start + by),
        "applied_by": by,
    }
    assert await value(api) == start + by


@pytest.mark.parametrize("way", ["plain", "with a ttl", "idempotent"])
@pytest.mark.parametrize(
    ("start", "by"), [(HIGHEST, 1), (LOWEST, -1), (1, HIGHEST), (-1, LOWEST), (HIGHEST, HIGHEST)]
)
async def test_an_overflow_is_refused_and_changes_nothing(
    api: Api, backend: Backend, way: str, start: int, by: int
) -> None:
    await api.put("/v1/counters/c", json={"value": start, "ttl": 30})

    answer = await api.step("c", by=by, **WAYS[way])

    said = problem(answer, 409, "counter_overflow")
    assert (said["applied"], said["retryable"]) == ("no", False)
    assert await value(api) == start
    assert 5_000 <= left_ms(backend, counter("c")) <= 30_000


@pytest.mark.parametrize("way", WAYS)
async def test_a_step_by_zero_tells_the_value(api: Api, way: str) -> None:
    await api.put("/v1/counters/c", json={"value": HIGHEST})

    answer = await api.step("c", by=0, **WAYS[way])

    assert answer.status == 200
    assert (answer.json()["value"], answer.json()["applied_by"]) == (HIGHEST, 0)


@pytest.mark.parametrize(
    "by",
    [
        *("true", "false", "1.5", "1.0", "1e2", '"1"', "null", "[1]", "{}", "NaN", "0x1", "01"),
        *("9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "1e999", "+1", ""),
    ],
)
async def test_a_step_that_is_no_64_bit_integer_is_refused(api: Api, by: str) -> None:
    answer = await api.post("/v1/counters/c/increments", b'{"by":' + by.encode() + b"}")

    problem(answer, 400, "body_invalid")
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


@pytest.mark.parametrize(
    ("field", "refused"),
    [
        *(("by", v) for v in (True, 1.5, "1", None, 2**63, -(2**63) - 1)),
        *(("min", v) for v in (True, 0.5, "0", 2**63)),
        *(("max", v) for v in (False, 0.5, "0", -(2**63) - 1)),
        *(("on_bound", v) for v in ("wrap", None, 1)),
        *(("ttl", v) for v in (0, -1, 1.5, "60", 315_360_001, True)),
        *(("ttl_on", v) for v in ("always", None)),
        ("step", 1),
    ],
)
async def test_a_field_that_does_not_fit_is_refused_by_name(
    api: Api, field: str, refused: object
) -> None:
    answer = await api.step("c", **{field: refused})

    assert field in problem(answer, 400, "body_invalid")["detail"]
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"x"', b"{", b"{} {}"])
async def test_a_body_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    problem(await api.post("/v1/counters/c/increments", body), 400, "body_invalid")


async def test_a_ttl_on_create_makes_a_fixed_window(api: Api, backend: Backend) -> None:
    await api.step("c", ttl=100)
    await api.step("c", ttl=50)
    await api.step("c")

    assert 50_000 < left_ms(backend, counter("c")) <= 100_000


async def test_a_ttl_on_create_leaves_a_counter_that_never_expires(
    api: Api, backend: Backend
) -> None:
    await api.step("c")
    await api.step("c", ttl=50)

    assert left_ms(backend, counter("c")) == -1


async def test_a_ttl_on_touch_is_renewed(api: Api, backend: Backend) -> None:
    await api.step("c", ttl=50, ttl_on="touch")
    await api.step("c", ttl=100, ttl_on="touch")
    assert left_ms(backend, counter("c")) > 60_000

    await api.step("c", ttl=20, ttl_on="touch")
    assert 1_000 < left_ms(backend, counter("c")) <= 20_000


async def test_a_refused_step_touches_no_ttl(api: Api, backend: Backend) -> None:
    await api.step("c", by=5, ttl=50)

    answer = await api.step("c", by=6, max=10, ttl=100, ttl_on="touch")

    problem(answer, 409, "counter_bound")
    assert left_ms(backend, counter("c")) <= 50_000


@pytest.mark.parametrize("more", [{}, {"ttl_on": "touch"}, {"max": 10}, {"max": 0}])
async def test_a_counter_that_expired_starts_anew_with_a_ttl(
    api: Api, backend: Backend, more: dict[str, Any]
) -> None:
    await api.step("c", by=7, ttl=60)
    run_out(backend, counter("c"))

    answer = await api.step("c", by=1, ttl=60, on_bound="clamp", **more)

    assert answer.json()["value"] == min(1, more.get("max", 1))
    assert 30_000 <= left_ms(backend, counter("c")) <= 60_000


async def test_a_put_sets_and_tells_the_previous_value(api: Api) -> None:
    first = await api.put("/v1/counters/c", json={"value": HIGHEST})
    second = await api.put("/v1/counters/c", json={"value": LOWEST, "ttl": 60})

    assert (first.status, second.status) == (200, 200)
    assert first.json()["previous"] is None
    assert first.json()["value"] == HIGHEST
    assert second.json()["previous"] == HIGHEST
    assert second.json()["ttl"] == 60
    assert await value(api) == LOWEST


async def test_a_put_replaces_the_ttl(api: Api, backend: Backend) -> None:
    await api.put("/v1/counters/c", json={"value": 1, "ttl": 60})
    assert 30_000 <= left_ms(backend, counter("c")) <= 60_000

    await api.put("/v1/counters/c", json={"value": 1})
    assert left_ms(backend, counter("c")) == -1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "value"),
        ({"value": None}, "value"),
        ({"value": 1.5}, "value"),
        ({"value": "1"}, "value"),
        ({"value": 2**63}, "value"),
        ({"value": True}, "value"),
        ({"value": 1, "ttl": 0}, "ttl"),
        ({"value": 1, "by": 1}, "by"),
    ],
)
async def test_a_put_that_does_not_fit_is_refused_by_name(
    api: Api, body: dict[str, object], field: str
) -> None:
    answer = await api.put("/v1/counters/c", json=body)

    assert field in problem(answer, 400, "body_invalid")["detail"]
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")


async def test_a_deleted_counter_starts_anew(api: Api) -> None:
    await api.step("c", by=5)

    assert (await api.delete("/v1/counters/c")).status == 204
    problem(await api.get("/v1/counters/c"), 404, "counter_missing")
    assert (await api.step("c")).json()["value"] == 1


@pytest.mark.parametrize("name", ["A-Za-z0-9._~:-", "n" * 128, "...", ".a", "0", "%61b", "v1:x"])
async def test_a_valid_name_can_be_incremented(api: Api, name: str) -> None:
    assert (await api.step(name)).json()["name"] == name.replace("%61", "a")
    assert await value(api, name) == 1


@pytest.mark.parametrize(
    "name", ["n" * 129, "a%20b", "a+b", "%C3%A9", "a%2Fb", "a*", "a%0A", "%00", "%FF", "a%7C", "@"]
)
async def test_another_name_is_refused(api: Api, name: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await api.send(method, f"/v1/counters/{name}", b'{"value":1}')
        problem(answer, 400, "counter_name_invalid")
    problem(await api.step(name), 400, "counter_name_invalid")


async def test_counters_and_entries_of_one_name_are_apart(api: Api) -> None:
    await api.put("/v1/kv/same", b"text")
    await api.step("same")

    assert (await api.get("/v1/kv/same")).body == b"text"
    assert await value(api, "same") == 1
    assert (await api.delete("/v1/kv/same")).status == 204
    assert await value(api, "same") == 1


@pytest.mark.parametrize("name", [".", ".."])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_name_that_is_a_dot_segment_is_refused(api: Api, method: str, name: str) -> None:
    answer = await api.send(method, f"/v1/counters/{name}", b'{"value":1}')

    problem(answer, 400, "counter_name_invalid")
    problem(await api.step(name), 400, "counter_name_invalid")
