"""Errors as schemas and responses, made from the error classes and their statuses. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ...domain.errors import DomainError
from ..bodies import Problem
from ..problems import HTTP_CODES, STATUS, http_problem
from .advice import ADVICE
from .answer_headers import answer_headers
from .model import PROBLEM
from .schemas import refer

#: Errors of HTTP itself, on every route of the document.
HTTP_ERRORS: Final = tuple(status for status in HTTP_CODES if status not in {404, 405})
#: Headers that an error adds to its answer.
_HEADERS: Final = {
    "content_coding_unsupported": ("Accept-Encoding?",),
    "forbidden": ("WWW-Authenticate?",),
    "media_type_unsupported": ("Accept-Patch?",),
    "precondition_failed": ("ETag?",),
    "range_not_satisfiable": ("Content-Range",),
    "rate_limited": ("Retry-After",),
    "unauthenticated": ("WWW-Authenticate",),
}


class Failure:
    """One code: what it means for the change and for a retry."""

    def __init__(self, problem: Problem) -> None:
        self.code = problem.code
        self.status = problem.status
        self.applied = problem.applied
        self.retryable = problem.retryable
        self.name = "".join(word.capitalize() for word in self.code.split("_"))

    def schema(self) -> dict[str, Any]:
        return {
            "title": self.code,
            "description": ADVICE[self.code],
            "allOf": [refer(Problem)],
            "properties": {
                "status": {"const": self.status},
                "code": {"const": self.code},
                "applied": {"const": self.applied},
                "retryable": {"const": self.retryable},
            },
        }

    def row(self) -> str:
        """Return its row of a table of Markdown."""
        retry = "yes" if self.retryable else "no"
        return f"| {self.status} | `{self.code}` | {self.applied} | {retry} | {ADVICE[self.code]} |"


def failure_of(error: type[DomainError]) -> Failure:
    return Failure(Problem("", STATUS[error], "", error.slug, error.applied, error.retryable))


def http_failures(statuses: Iterable[int]) -> list[Failure]:
    return [Failure(http_problem(status, "")) for status in statuses]


def all_failures() -> list[Failure]:
    """Return every error, by status."""
    found = [*map(failure_of, STATUS), *http_failures(HTTP_CODES)]
    return sorted(found, key=lambda failure: (failure.status, failure.code))


def failures_of(errors: Iterable[type[DomainError]]) -> list[Failure]:
    """Return these errors, and those of HTTP itself."""
    found = [*map(failure_of, errors), *http_failures(HTTP_ERRORS)]
    return sorted(found, key=lambda failure: (failure.status, failure.code))


def render_failures(failures: Iterable[Failure], *, once: bool) -> dict[str, Any]:
    """Return the responses by status. ``once``: a retry may get a recorded error."""
    by_status: dict[str, list[Failure]] = {}
    for failure in failures:
        by_status.setdefault(str(failure.status), []).append(failure)
    return {status: _response(some, once=once) for status, some in by_status.items()}


def _response(failures: list[Failure], *, once: bool) -> dict[str, Any]:
    refs = [f"#/components/schemas/{failure.name}" for failure in failures]
    schema: dict[str, Any] = {"$ref": refs[0]}
    if len(refs) > 1:
        mapping = {failure.code: ref for failure, ref in zip(failures, refs, strict=True)}
        schema = {
            "oneOf": [{"$ref": ref} for ref in refs],
            "discriminator": {"propertyName": "code", "mapping": mapping},
        }
    headers = {"Cache-Control", *(each for one in failures for each in _HEADERS.get(one.code, ()))}
    if failures[0].status == 503:
        headers.add("Retry-After")
    if once and failures[0].status in {404, 409, 412, 413}:
        headers.add("Idempotency-Replayed?")
    return {
        "description": "\n".join(
            f"- `{failure.code}`: {ADVICE[failure.code]}" for failure in failures
        ),
        "headers": answer_headers(tuple(headers)),
        "content": {PROBLEM: {"schema": schema}},
    }
