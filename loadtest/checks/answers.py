"""Whether an answer is right: its status, ETag and value. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

#: Strong, as RFC 9110 (8.8.3) spells it.
_ETAG: Final = re.compile(r'"[\x21\x23-\x7e]+"')


class WrongAnswer(Exception):
    """An answer that no right service gives.

    Locust counts failures by message, so there are few messages. ``detail`` is for the log.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ServiceFailed(Exception):
    """The service, or a proxy before it, answered 5xx, 408 or 429."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}".rstrip())
        self.status = status

    @property
    def applied_nothing(self) -> bool:
        """Return True if nothing was changed, as tallykv's 503, 507 and 408 promise.

        A proxy's 503 has no code and promises nothing.
        """
        return self.status in {408, 503, 507} and " " in str(self)


class Headers(Protocol):
    """Headers by name in lower case."""

    def get(self, name: str, /) -> Any:
        """Return the value, or None."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, "" without one. ``name`` is in lower case."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


#: A check of an answer. It raises WrongAnswer or ServiceFailed.
Check = Callable[[Answer], None]


def expect_status(answer: Answer, *expected: int) -> None:
    """Raise ServiceFailed for a 5xx, 408 or 429, and WrongAnswer for any other status."""
    if answer.status in expected:
        return
    if answer.status >= 500 or answer.status in {408, 429}:
        raise ServiceFailed(answer.status, problem_code(answer))
    raise WrongAnswer(f"wrong status {answer.status}", repr(answer.body[:200]))


def problem_code(answer: Answer) -> str:
    """Return the problem's ``code``, "" if the body is not a problem of tallykv."""
    if not answer.header("content-type").startswith("application/problem+json"):
        return ""
    try:
        code = json.loads(answer.body)["code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else ""


def etag_of(answer: Answer) -> str:
    """Return the ETag; raise WrongAnswer if there is no strong one."""
    etag = answer.header("etag")
    if not _ETAG.fullmatch(etag):
        raise WrongAnswer("no strong ETag", etag)
    return etag


def json_of(answer: Answer) -> dict[str, Any]:
    """Return the body as a JSON object; raise WrongAnswer."""
    try:
        read = json.loads(answer.body)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise WrongAnswer("no JSON object", repr(answer.body[:200]))
    return read


def expect_equal(found: object, expected: object, what: str) -> None:
    """Raise WrongAnswer ("wrong ``what``") unless both are equal and have the same type."""
    if found != expected or type(found) is not type(expected):
        raise WrongAnswer(f"wrong {what}", f"{found!r} instead of {expected!r}"[:300])


def expect_written(answer: Answer, key: str, *statuses: int) -> str:
    """Check the answer to a write of an entry, and return the ETag."""
    expect_status(answer, *statuses)
    etag = etag_of(answer)
    body = json_of(answer)
    expect_equal(body.get("key"), key, "key")
    expect_equal(body.get("etag"), etag, "ETag in the body")
    return etag
