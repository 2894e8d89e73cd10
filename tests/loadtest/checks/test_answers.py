"""Wrong answers, and failures that the service reports as such."""

from __future__ import annotations

import pytest

from loadtest.checks.answers import (
    Answer,
    ServiceFailed,
    WrongAnswer,
    etag_of,
    expect_equal,
    expect_status,
    expect_written,
    json_of,
)

PROBLEM = {"content-type": "application/problem+json"}


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_an_unexpected_status_is_wrong_unless_it_reports_a_failure() -> None:
    expect_status(answer(404), 200, 404)
    with pytest.raises(WrongAnswer, match="wrong status 404"):
        expect_status(answer(404), 200)
    with pytest.raises(ServiceFailed, match="500"):
        expect_status(answer(500), 200)


@pytest.mark.parametrize(
    ("failed_answer", "applied_nothing"),
    [
        (Answer(503, PROBLEM, b'{"code":"overloaded"}'), True),
        (Answer(507, PROBLEM, b'{"code":"store_full"}'), True),
        (Answer(504, PROBLEM, b'{"code":"outcome_unknown"}'), False),
        (Answer(503, {}, b"no healthy upstream"), False),
        (Answer(503, PROBLEM, b"{"), False),
    ],
)
def test_only_the_service_itself_promises_that_nothing_was_applied(
    failed_answer: Answer, *, applied_nothing: bool
) -> None:
    with pytest.raises(ServiceFailed) as failed:
        expect_status(failed_answer, 200)

    assert failed.value.applied_nothing is applied_nothing


@pytest.mark.parametrize("etag", ["", "bare", 'W/"weak"', '""', '"a b"'])
def test_an_etag_is_strong(etag: str) -> None:
    with pytest.raises(WrongAnswer, match="no strong ETag"):
        etag_of(answer(etag=etag))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_not_an_object_is_wrong(body: bytes) -> None:
    with pytest.raises(WrongAnswer, match="no JSON object"):
        json_of(answer(body=body))


def test_true_is_not_one() -> None:
    with pytest.raises(WrongAnswer, match="wrong value"):
        expect_equal(found=True, expected=1, what="value")


def test_a_write_names_the_key_and_the_etag_twice() -> None:
    body = b'{"key":"k","etag":"\\"e\\"","ttl":1}'

    assert expect_written(answer(201, body, etag='"e"'), "k", 201) == '"e"'
    with pytest.raises(WrongAnswer, match="wrong ETag in the body"):
        expect_written(answer(201, body, etag='"f"'), "k", 201)
    with pytest.raises(WrongAnswer, match="wrong key"):
        expect_written(answer(201, body, etag='"e"'), "other", 201)
