"""What a request can fail with. Each error says whether the change was applied. Pure."""

from __future__ import annotations

from typing import ClassVar, Final

from ..domain.errors import Applied


class Error(Exception):
    """A request that failed. ``code`` names the reason, as docs/reference/errors.md lists them.

    ``applied`` says whether the requested change was made, over all tries: ``unknown`` if one of
    them got no answer. ``retryable`` says whether the same request can succeed later.
    """

    #: What it is unless the answer says otherwise.
    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str = "",
        status: int | None = None,
        applied: Applied = "no",
        retryable: bool = False,
        trace_id: str = "",
        etag: str | None = None,
        tries: int = 1,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        #: The answer's; None if there was none.
        self.status = status
        self.applied = applied
        self.retryable = retryable
        #: Names the request in the service's traces and logs; "" if there was no answer.
        self.trace_id = trace_id
        #: With PreconditionFailed: the current ETag, if there is an entry.
        self.etag = etag
        self.tries = tries
        #: The idempotency key that was sent. With it, the same request can be sent again.
        self.idempotency_key: str | None = None

    def __str__(self) -> str:
        facts = [self.code, f"applied: {self.applied}"]
        if self.tries > 1:
            facts.append(f"after {self.tries} tries")
        if self.trace_id:
            facts.append(f"trace {self.trace_id}")
        return f"{self.detail} ({', '.join(facts)})"


# --- the request is wrong -------------------------------------------------------------------


class Invalid(Error):
    """The request is malformed: a key, a TTL, a body. Sent again, it fails again."""

    default_code = "bad_request"


class TooLarge(Invalid):
    """The value, the batch or the key is larger than the service takes."""

    default_code = "body_too_large"


class IdempotencyMismatch(Invalid):
    """The idempotency key was used before, with another payload."""

    default_code = "idempotency_mismatch"


class NotAllowed(Error):
    """The token does not allow it, or there is no valid one."""

    default_code = "forbidden"


class Unauthenticated(NotAllowed):
    """There is no valid token."""

    default_code = "unauthenticated"


# --- the stored state does not allow it -----------------------------------------------------


class Missing(Error):
    """There is no such entry or counter."""

    default_code = "key_missing"


class KeyMissing(Missing):
    """There is no such entry."""


class CounterMissing(Missing):
    """There is no such counter."""

    default_code = "counter_missing"


class Conflict(Error):
    """The stored value does not allow it."""

    default_code = "conflict"


class PreconditionFailed(Conflict):
    """Somebody else changed the entry. ``etag`` is the current one; None: there is no entry."""

    default_code = "precondition_failed"


class NotJson(Conflict):
    """The stored value is not JSON, so nothing can be merged into it."""

    default_code = "not_json"


class CounterBound(Conflict):
    """The sum would pass the bound that was given."""

    default_code = "counter_bound"


class CounterOverflow(Conflict):
    """The sum would leave the signed 64-bit range."""

    default_code = "counter_overflow"


# --- the service fails ----------------------------------------------------------------------


class ServiceFailed(Error):
    """The service, the store or the network failed, for as long as the deadline allowed."""

    default_code = "internal_error"


class Unavailable(ServiceFailed):
    """The service could not be reached, or refused before it changed anything."""

    default_code = "unreachable"


class RateLimited(Unavailable):
    """The client sends more requests than its rate."""

    default_code = "rate_limited"


class OutcomeUnknown(ServiceFailed):
    """No answer arrived: the change may have been applied. With the same key, repeat it."""

    default_code = "outcome_unknown"


class StoreFull(ServiceFailed):
    """The store is out of memory."""

    default_code = "store_full"


#: Errors by the code of the answer, where the status alone says less.
BY_CODE: Final[dict[str, type[Error]]] = {
    each.default_code: each
    for each in (
        TooLarge,
        IdempotencyMismatch,
        Unauthenticated,
        KeyMissing,
        CounterMissing,
        PreconditionFailed,
        NotJson,
        CounterBound,
        CounterOverflow,
        RateLimited,
        StoreFull,
    )
}
BY_STATUS: Final[dict[int, type[Error]]] = {
    401: Unauthenticated,
    403: NotAllowed,
    404: Invalid,  # no such route: a wrong base URL
    409: Conflict,
    412: PreconditionFailed,
    413: TooLarge,
    414: TooLarge,
    429: RateLimited,
    503: Unavailable,
    504: OutcomeUnknown,
    507: StoreFull,
}


def error_class(code: str, status: int) -> type[Error]:
    """Return the class for an answer of this code and status."""
    found = BY_CODE.get(code) or BY_STATUS.get(status)
    if found is None:
        found = Invalid if status < 500 else ServiceFailed
    return found
