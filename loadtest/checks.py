"""What an answer must be to be right: status, ETag and value; a wrong one is no success. Pure."""

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

    The message is one of few, for they are counted by it; ``detail`` is for whoever looks into it.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ServiceFailed(Exception):
    """The service, or a proxy before it, said that it could not: 5xx, and 408 or 429."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}".rstrip())
        self.status = status

    @property
    def applied_nothing(self) -> bool:
        """Tell whether surely nothing was changed: tallykv's 503, 507 and 408 promise it.

        A proxy's 503 promises nothing, and has no code.
        """
        return self.status in {408, 503, 507} and " " in str(self)


class Headers(Protocol):
    """Asked for names in small letters only."""

    def get(self, name: str, /) -> Any:
        """Return the value, None if there is none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """Return the header's value, "" without one; ``name`` in small letters."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


#: Raises WrongAnswer or ServiceFailed.
Check = Callable[[Answer], None]


def expect_status(answer: Answer, *expected: int) -> None:
    """Raise ServiceFailed for a failure that is owned up to, WrongAnswer for any other surprise."""
    if answer.status in expected:
        return
    if answer.status >= 500 or answer.status in {408, 429}:
        raise ServiceFailed(answer.status, problem_code(answer))
    raise WrongAnswer(f"wrong status {answer.status}", repr(answer.body[:200]))


def problem_code(answer: Answer) -> str:
    """Return the problem's ``code``, "" where the body is none of tallykv's problems."""
    if not answer.header("content-type").startswith("application/problem+json"):
        return ""
    try:
        code = json.loads(answer.body)["code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else ""


def etag_of(answer: Answer) -> str:
    """Return the strong ETag; raise WrongAnswer if there is none."""
    etag = answer.header("etag")
    if not _ETAG.fullmatch(etag):
        raise WrongAnswer("no strong ETag", etag)
    return etag


def json_of(answer: Answer) -> dict[str, Any]:
    """Return the object that the body is; raise WrongAnswer if it is none."""
    try:
        read = json.loads(answer.body)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise WrongAnswer("no JSON object", repr(answer.body[:200]))
    return read


def expect_equal(found: object, expected: object, what: str) -> None:
    """Raise WrongAnswer ("wrong ``what``") unless they are equal, and of one type."""
    if found != expected or type(found) is not type(expected):
        raise WrongAnswer(f"wrong {what}", f"{found!r} instead of {expected!r}"[:300])


def expect_written(answer: Answer, key: str, *statuses: int) -> str:
    """Check what a write of an entry answers, and return the ETag."""
    expect_status(answer, *statuses)
    etag = etag_of(answer)
    said = json_of(answer)
    expect_equal(said.get("key"), key, "key")
    expect_equal(said.get("etag"), etag, "ETag in the body")
    return etag
