"""Redis executes the command, and the network loses the reply."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from svc.settings import Settings
from tests.support.answers import (
    PROMPT_SECONDS,
    Answer,
    ask,
    assert_refused,
    assert_unknown,
    batch,
    counter_value,
    get,
    increment,
    put,
    together,
)
from tests.support.every_verb import MERGE
from tests.support.services import Service, running_service
from tests.support.tcp_proxy import Proxy
from tests.svc.faults.conftest import HASTY_MS, PATIENT_MS, hurried

pytestmark = pytest.mark.usefixtures("rarely_checked")

ONCE = {"Idempotency-Key": "once"}


@pytest.fixture
def service(served_over_network: Service) -> Service:
    return served_over_network


@pytest.fixture
async def patient_over_network(network: Proxy) -> AsyncIterator[Service]:
    """A service that a busy machine can't let time out: cut connections are noticed at once."""
    async with running_service(
        Settings(store_url=network.url, store_timeout_ms=PATIENT_MS)
    ) as service:
        yield service


async def test_a_step_whose_answer_is_lost_is_unknown_and_not_repeated(
    service: Service, network: Proxy
) -> None:
    await increment(service, "n")
    network.drops_replies = True

    with hurried(service):
        answer = await increment(service, "n")

    assert_unknown(answer)
    assert answer.seconds < PROMPT_SECONDS
    network.drops_replies = False
    assert await counter_value(service, "n") == 2


async def test_a_connection_cut_in_place_of_the_answer_is_unknown_at_once(
    patient_over_network: Service, network: Proxy
) -> None:
    service = patient_over_network
    # As many connections as below, all just checked: the first replies on them are the answers.
    await together(
        increment(service, "n"), put(service, "k", b"u"), increment(service, "n", "rehearsed")
    )
    network.cuts = 3

    stepped, written, once = await together(
        increment(service, "n"), put(service, "k", b"v"), increment(service, "n", "once")
    )

    for answer in (stepped, written, once):
        assert_unknown(answer)
        assert answer.seconds < PROMPT_SECONDS
    assert network.cuts == 0
    assert await counter_value(service, "n") == 4
    assert (await get(service, "k")).body == b"v"


async def test_a_read_is_repeated_once_when_its_connection_is_cut(
    patient_over_network: Service, network: Proxy
) -> None:
    service = patient_over_network
    await put(service, "k", b"v")
    network.cuts = 1

    answer = await get(service, "k")

    assert network.dropped == 1
    assert (answer.status, answer.body) == (200, b"v")


async def test_a_connection_cut_while_it_is_opened_is_opened_once_more(
    patient_over_network: Service, network: Proxy
) -> None:
    service = patient_over_network
    await increment(service, "n")
    # In place of the answer, and of the check of the connection on which it is asked for again.
    network.cuts = 2

    assert await counter_value(service, "n") == 1
    assert network.cuts == 0


async def test_a_read_is_refused_when_the_connections_are_cut_again_and_again(
    patient_over_network: Service, network: Proxy
) -> None:
    service = patient_over_network
    await increment(service, "n")
    network.cuts = 3

    assert_refused(await ask(service, "GET", "/v1/counters/n"))
    assert network.cuts == 0
    assert (await increment(service, "n")).json["value"] == 2


async def test_a_read_whose_answers_are_all_lost_is_refused_in_time(
    service: Service, network: Proxy
) -> None:
    network.drops_replies = True

    with hurried(service):
        answer = await get(service, "warm")

    assert_refused(answer)
    assert answer.seconds < PROMPT_SECONDS


async def change(service: Service, kind: str, where: str = "lost") -> Answer:
    """Send the same change with the same idempotency key, on each call."""
    json_once = {**ONCE, "Content-Type": "application/json"}
    method, path, data, headers = {
        "put": ("PUT", f"/v1/kv/{where}", b'{"a":2}', json_once),
        "put if": ("PUT", f"/v1/kv/{where}", b'{"a":2}', {**json_once, "If-Match": "*"}),
        "patch": ("PATCH", f"/v1/kv/{where}", b'{"b":2}', {**ONCE, **MERGE}),
        "delete": ("DELETE", f"/v1/kv/{where}", b"", ONCE),
        "post": ("POST", f"/v1/kv/{where}/", b'{"a":1}', json_once),
        "plain put": ("PUT", f"/{where}", b'{"a":3}', json_once),
        "step": ("POST", f"/v1/counters/{where}/increments", b'{"by":5}', json_once),
        "bounded": ("POST", f"/v1/counters/{where}/increments", b'{"by":5,"max":6}', json_once),
        "set": ("PUT", f"/v1/counters/{where}", b'{"value":6}', json_once),
        "delete counter": ("DELETE", f"/v1/counters/{where}", b"", ONCE),
    }[kind]
    return await ask(service, method, path, data=data, headers=headers)


#: Round trips before the one that changes the store. PATCH: look for a record, and read.
#: POST: bind the new entry's id.
BEFORE = {"patch": 2, "post": 1}


@pytest.mark.parametrize(
    "kind",
    [
        *("put", "put if", "patch", "delete", "post", "plain put"),
        *("step", "bounded", "set", "delete counter"),
    ],
)
async def test_a_retry_under_the_same_idempotency_key_tells_what_the_lost_one_did(
    service: Service, network: Proxy, kind: str
) -> None:
    for where in ("rehearsed", "lost"):
        await ask(service, "PUT", f"/v1/kv/{where}", json={"a": 1})
        await ask(service, "PUT", f"/v1/counters/{where}", json={"value": 1})
    await change(service, kind, "rehearsed")  # Redis has cached the scripts
    network.passes, network.drops_replies = BEFORE.get(kind, 0), True

    # The round trips before have to succeed in this time.
    with hurried(service, HASTY_MS * 5 if kind in BEFORE else HASTY_MS):
        lost = await change(service, kind)

    assert_unknown(lost)
    network.drops_replies = False
    settled = await change(service, kind)
    again = await change(service, kind)
    assert settled.status in {200, 201, 204}, settled
    for answer in (settled, again):
        assert answer.headers["Idempotency-Replayed"] == "true"
    assert (again.status, again.body) == (settled.status, settled.body)
    assert again.headers.get("Location") == settled.headers.get("Location")
    assert again.headers.get("ETag") == settled.headers.get("ETag")


async def test_a_post_that_lost_the_answer_to_its_first_step_makes_one_entry_all_the_same(
    service: Service, network: Proxy
) -> None:
    await change(service, "post", "rehearsed")
    network.drops_replies = True
    with hurried(service):
        assert_unknown(await change(service, "post"))
    network.drops_replies = False

    settled = await change(service, "post")
    again = await change(service, "post")

    assert (settled.status, again.status) == (201, 201)
    assert settled.headers["Location"] == again.headers["Location"]
    listed = await ask(service, "GET", "/v1/kv?prefix=lost/")
    assert len(listed.json["items"]) == 1


async def test_a_lost_step_under_a_key_counts_once_however_often_it_is_sent(
    service: Service, network: Proxy
) -> None:
    await together(*(increment(service, "m", f"rehearsed-{i}") for i in range(10)))
    network.drops_replies = True
    with hurried(service):
        lost = await together(*(increment(service, "n", "once") for _ in range(10)))
    for answer in lost:
        assert_unknown(answer)
    network.drops_replies = False

    answers = await together(*(increment(service, "n", "once") for _ in range(10)))

    assert {(a.status, a.json["value"]) for a in answers} == {(200, 1)}
    assert await counter_value(service, "n") == 1


async def test_in_a_lost_batch_the_changes_are_unknown_and_the_reads_refused(
    service: Service, network: Proxy
) -> None:
    operations: list[dict[str, object]] = [
        {"op": "put", "key": "k", "value": 1},
        {"op": "add", "counter": "n", "by": 2},
        {"op": "add", "counter": "m", "by": 3, "idempotency_key": "once"},
        {"op": "get", "key": "warm"},
        {"op": "get", "key": ""},
    ]
    # As many connections as the batch needs at once, and the scripts are known.
    await together(
        *(increment(service, "rehearsed", f"rehearsed-{i}") for i in range(4)),
        increment(service, "rehearsed"),
        put(service, "rehearsed", b"v"),
    )
    network.drops_replies = True

    with hurried(service):
        lost = await batch(service, *operations)
    network.drops_replies = False
    settled = await batch(service, *operations[2:4])

    assert [(r["status"], r["applied"]) for r in lost] == [
        *[(504, "unknown")] * 3,
        (503, "no"),
        (400, "no"),
    ]
    assert [r["status"] for r in settled] == [200, 200]
    assert (settled[0]["value"], settled[0]["replayed"]) == (3, True)
    assert await counter_value(service, "n") == 2
