"""Errors as ``application/problem+json`` (RFC 9457), with the table from error to HTTP status."""

from __future__ import annotations

import math
from typing import Final

import msgspec
from multidict import CIMultiDict

from ..domain import errors
from ..domain.errors import DomainError
from ..telemetry.trace import TRACE
from .answer import Answer
from .bodies import Problem

CONTENT_TYPE: Final = "application/problem+json"
#: The seconds that a client should wait before a retry.
RETRY_AFTER: Final = "1"

STATUS: Final[dict[type[DomainError], int]] = {
    errors.KeyInvalid: 400,
    errors.KeyTooLong: 414,
    errors.CounterNameInvalid: 400,
    errors.ContentTypeInvalid: 400,
    errors.BodyInvalid: 400,
    errors.QueryInvalid: 400,
    errors.HeaderInvalid: 400,
    errors.CursorInvalid: 400,
    errors.BodyTooLarge: 413,
    errors.BodyTimeout: 408,
    errors.MediaTypeUnsupported: 415,
    errors.ContentCodingUnsupported: 415,
    errors.IdempotencyMismatch: 422,
    errors.KeyMissing: 404,
    errors.CounterMissing: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.CrossSite: 403,
    errors.PreconditionFailed: 412,
    errors.RangeNotSatisfiable: 416,
    errors.NotJson: 409,
    errors.CounterOverflow: 409,
    errors.CounterBound: 409,
    errors.RateLimited: 429,
    errors.Overloaded: 503,
    errors.TooManyWatchers: 503,
    errors.StoreUnavailable: 503,
    errors.StoreContended: 503,
    errors.OutcomeUnknown: 504,
    errors.StoreFull: 507,
    errors.StoreCorrupt: 500,
    errors.InjectedFault: 500,
}

#: Codes of errors of HTTP itself. Not taken from http.HTTPStatus, whose phrases have changed.
HTTP_CODES: Final[dict[int, str]] = {
    400: "bad_request",
    404: "route_missing",
    405: "method_not_allowed",
    408: "header_timeout",
    414: "uri_too_long",
    417: "expectation_unknown",
    421: "foreign_host",
    431: "header_too_long",
    500: "internal_error",
    505: "http_version_unsupported",
}

TITLES: Final[dict[str, str]] = {
    slug: slug.replace("_", " ").capitalize() for slug in (e.slug for e in STATUS)
}


def problem_of(error: DomainError, trace_id: str = "") -> Problem:
    """Return the problem that describes the error."""
    return Problem(
        title=TITLES[error.slug],
        status=STATUS[type(error)],
        detail=str(error),
        code=error.slug,
        applied=error.applied,
        retryable=error.retryable,
        type=f"urn:tallykv:problem:{error.slug}",
        trace_id=trace_id,
        etag=error.etag if isinstance(error, errors.PreconditionFailed) else None,
    )


def render_domain_error(error: DomainError) -> Answer:
    """Render the current request's error, and note its slug in the trace for the access line."""
    trace = TRACE.get()
    trace.error = error.slug
    response = render_problem(problem_of(error, trace.trace_id))
    if isinstance(error, errors.PreconditionFailed) and error.etag is not None:
        response.headers["ETag"] = error.etag
    if isinstance(error, errors.RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, errors.MediaTypeUnsupported):
        response.headers["Accept-Patch"] = "application/merge-patch+json"
    if isinstance(error, errors.ContentCodingUnsupported):
        response.headers["Accept-Encoding"] = "gzip, deflate"
    if isinstance(error, (errors.Unauthenticated, errors.Forbidden)):
        response.headers["WWW-Authenticate"] = _challenge(error)
    if response.status == 503:
        response.headers["Retry-After"] = RETRY_AFTER
    if isinstance(error, errors.RateLimited):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.wait_seconds)))
    if error.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    if isinstance(error, (errors.BodyTooLarge, errors.BodyTimeout)):
        # Close the connection instead of reading the rest of the body.
        response.force_close()
    return response


def _challenge(error: errors.Unauthenticated | errors.Forbidden) -> str:
    """Return what RFC 6750 §3 says about a token that is missing, invalid or does not cover it."""
    word = error.error if isinstance(error, errors.Unauthenticated) else "insufficient_scope"
    return 'Bearer realm="tallykv"' + (f', error="{word}"' if word else "")


def http_problem(status: int, detail: str) -> Problem:
    """Return the problem of an error that is not a DomainError: bad HTTP, no route, a bug."""
    code = HTTP_CODES.get(status, f"http_{status}")
    return Problem(
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=detail,
        code=code,
        applied="unknown" if status in {500, 504} else "no",
        retryable=status == 408,
        type=f"urn:tallykv:problem:{code}",
        trace_id=TRACE.get().trace_id,
    )


_encode: Final = msgspec.json.Encoder().encode


def render_problem(problem: Problem) -> Answer:
    headers = CIMultiDict({"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})
    return Answer(_encode(problem) + b"\n", headers, problem.status)
