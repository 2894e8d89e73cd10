"""When a request is sent again, and what an error says of all its tries."""

from __future__ import annotations

import inspect

import pytest

from svc.api.problems import HTTP_CODES, STATUS
from svc.client import errors
from svc.client.entry_operations import EntryOperations
from svc.client.errors import (
    Error,
    Invalid,
    Missing,
    OutcomeUnknown,
    PreconditionFailed,
    ServiceFailed,
    StoreFull,
    Unauthenticated,
    Unavailable,
)
from svc.client.exchange import Answer, NoAnswer, exchange
from svc.client.requests import read_request, write_request
from tests.svc.client.scripted import (
    INTERNAL,
    LOST,
    PROXY,
    REFUSED,
    UNAVAILABLE,
    UNKNOWN,
    UNSENT,
    Network,
    answer,
    problem,
)

TARGET = "/v1/kv/k"
READ = read_request(TARGET)
KEYED = write_request("PUT", TARGET, b"v", idempotency_key="once", settles=True)
SWAP = write_request("PUT", TARGET, b"v", if_match='"e"', settles=True)
PLAIN = write_request("PUT", TARGET, b"v", settles=True)
OK = answer(200, b"{}")


@pytest.mark.parametrize("request_", [READ, KEYED, SWAP, PLAIN])
@pytest.mark.parametrize(
    "failure",
    [
        UNSENT,
        UNAVAILABLE,
        problem(429, "rate_limited", retryable=True, retry_after=2),
        problem(408, "body_timeout", retryable=True),
    ],
)
def test_what_surely_changed_nothing_is_sent_again(
    request_: object, failure: Answer | NoAnswer
) -> None:
    network = Network()

    found = network.run(exchange(request_, network.policy), [failure, failure, OK])  # type: ignore[arg-type]

    assert found is OK
    assert len(network.sent) == 3
    least = int(failure.headers.get("retry-after", 0)) if isinstance(failure, Answer) else 0
    assert all(pause >= max(least, 0.025) for pause in network.pauses)


@pytest.mark.parametrize("request_", [READ, KEYED, SWAP])
@pytest.mark.parametrize("failure", [LOST, UNKNOWN, PROXY, INTERNAL])
def test_an_unknown_outcome_is_settled_by_a_repeatable_request(
    request_: object, failure: Answer | NoAnswer
) -> None:
    network = Network()

    assert network.run(exchange(request_, network.policy), [failure, OK]) is OK  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", [LOST, UNKNOWN, PROXY, INTERNAL])
def test_an_unknown_outcome_of_a_plain_write_is_told_and_not_repeated(
    failure: Answer | NoAnswer,
) -> None:
    network = Network()

    with pytest.raises(ServiceFailed) as caught:
        network.run(exchange(PLAIN, network.policy), [failure])

    assert caught.value.applied == "unknown"
    assert len(network.sent) == 1


@pytest.mark.parametrize(
    ("request_", "script", "kind", "applied"),
    [
        # Refused in the end; but what of the try before?
        (KEYED, [LOST, UNAVAILABLE], Unavailable, "unknown"),
        (KEYED, [LOST, UNSENT], Unavailable, "unknown"),
        (KEYED, [UNSENT, UNAVAILABLE], Unavailable, "no"),
        (KEYED, [UNAVAILABLE, LOST], OutcomeUnknown, "unknown"),
        # With a key, an applied try would have been answered again.
        (KEYED, [LOST, REFUSED], PreconditionFailed, "no"),
        # But not if nobody looked.
        (KEYED, [LOST, problem(507, "store_full")], StoreFull, "unknown"),
        (KEYED, [LOST, problem(401, "unauthenticated")], Unauthenticated, "unknown"),
        # Without one, the ETag may differ because of the try before.
        (SWAP, [LOST, REFUSED], PreconditionFailed, "unknown"),
        (SWAP, [UNAVAILABLE, REFUSED], PreconditionFailed, "no"),
        (READ, [LOST, UNAVAILABLE], Unavailable, "no"),
        (READ, [LOST], Unavailable, "no"),
        (READ, [PROXY], Unavailable, "no"),
    ],
)
def test_an_error_says_whether_any_try_may_have_been_applied(
    request_: object, script: list[Answer | NoAnswer], kind: type[Error], applied: str
) -> None:
    network = Network()

    with pytest.raises(kind) as caught:
        network.run(exchange(request_, network.policy), script)  # type: ignore[arg-type]

    assert caught.value.applied == applied
    assert caught.value.tries == len(network.sent)


@pytest.mark.parametrize("failure", [UNSENT, UNAVAILABLE, LOST])
def test_tries_end_before_the_deadline(failure: Answer | NoAnswer) -> None:
    network = Network(deadline_seconds=7.0)
    began = network.now

    with pytest.raises(ServiceFailed):
        network.run(exchange(KEYED, network.policy), [failure])

    assert network.now - began < 7.0
    assert len(network.sent) > 4


def test_a_pause_that_would_outlast_the_deadline_is_not_begun() -> None:
    network = Network(deadline_seconds=7.0)

    with pytest.raises(Unavailable):
        network.run(
            exchange(KEYED, network.policy),
            [problem(429, "rate_limited", retryable=True, retry_after=60)],
        )

    assert network.pauses == []


def test_an_internal_error_is_not_tried_for_ever() -> None:
    network = Network()

    with pytest.raises(ServiceFailed):
        network.run(exchange(READ, network.policy), [INTERNAL])

    assert len(network.sent) == 3


@pytest.mark.parametrize("status", [301, 308, 404])
def test_an_answer_of_something_else_is_no_value(status: int) -> None:
    network = Network()

    with pytest.raises(Invalid, match="base URL"):
        network.run(
            exchange(READ, network.policy), [answer(status, b"<p>", {"content-type": "text/html"})]
        )


@pytest.mark.parametrize(
    ("headers", "why"),
    [({"content-type": "text/html"}, "no ETag"), ({"etag": '"1"', "kv-ttl": "soon"}, "KV-TTL")],
)
def test_a_page_of_another_server_is_no_value(headers: dict[str, str], why: str) -> None:
    network = Network()

    with pytest.raises(ServiceFailed, match=f"{why}.*base URL") as caught:
        network.run(
            EntryOperations(network.policy).get("k"), [answer(200, b"<p>Log in</p>", headers)]
        )

    assert (caught.value.code, caught.value.applied) == ("answer_invalid", "no")


def test_what_no_try_can_mend_ends_at_once() -> None:
    network = Network()

    with pytest.raises(Unavailable, match="certificate"):
        network.run(
            exchange(READ, network.policy),
            [NoAnswer("certificate", was_sent=False, is_final=True)],
        )

    assert len(network.sent) == 1


def test_every_code_of_the_service_has_a_class_of_its_kind() -> None:
    """A 4xx is no failure of the service, a 5xx is one, and absence is absence."""
    codes = [(kind.slug, status) for kind, status in STATUS.items()]
    for code, status in [*codes, *((code, status) for status, code in HTTP_CODES.items())]:
        kind = errors.error_class(code, status)
        assert issubclass(kind, ServiceFailed) == (status >= 500 or status == 429), code
        assert issubclass(kind, Missing) == code.endswith(("key_missing", "counter_missing")), code


def test_each_class_of_error_can_be_reached() -> None:
    kinds = {
        each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Error)
    }
    abstract = {errors.Error, errors.Missing}

    assert {*errors.BY_CODE.values(), *errors.BY_STATUS.values()} >= kinds - abstract - {
        errors.ServiceFailed
    }
